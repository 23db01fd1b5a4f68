"""Published chat templates as Jinja, with the blocks that mark what an assistant says.

Llama 2, Llama 3, Qwen 1.5 to 2.5 and Gemma are what their makers publish, without tools and
without the checks of roles. `v1`, `mpt`, `chatml_direct` and `mistral_instruct` have no such text
that agrees with LLaVA: these are LLaVA's layouts. A system text is a message of its own where the
published template has no default.
"""

from tests.oracle_layouts import CHAT, MPT, VISION

CHATML = """{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}
{%- else -%}{{- message['content'] + '<|im_end|>' -}}{%- endif -%}
AFTER
{%- endfor -%}"""
QWEN = (
    "{%- if messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\\nDEFAULT<|im_end|>\\n' -}}{%- endif -%}"
    + CHATML.replace("AFTER\n", "{{- '\\n' -}}")
)
QWEN_2 = QWEN.replace("DEFAULT", "You are a helpful assistant.")
QWEN_2_5 = QWEN.replace(
    "DEFAULT", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
)
PLAIN_CHATML = CHATML.replace("AFTER\n", "")

LLAMA_3 = """{%- for message in messages -%}
{%- if loop.first -%}{{- bos_token -}}{%- endif -%}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- message['content'] | trim + '<|eot_id|>' -}}{%- endgeneration -%}
{%- else -%}{{- message['content'] | trim + '<|eot_id|>' -}}{%- endif -%}
{%- endfor -%}"""

GEMMA = """{{- bos_token -}}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{- '<start_of_turn>model\\n' -}}
{%- generation -%}{{- message['content'] | trim + '<end_of_turn>' -}}{%- endgeneration -%}
{%- else -%}
{{- '<start_of_turn>' + message['role'] + '\\n' + message['content'] | trim + '<end_of_turn>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}"""

LLAMA_2 = """{%- if messages[0]['role'] == 'system' -%}
{%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' -%}
{%- set turns = messages[1:] -%}
{%- else -%}{%- set system = '' -%}{%- set turns = messages -%}{%- endif -%}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}
{%- set content = (system if loop.first else '') + message['content'] -%}
{{- BEGIN -}}{{- '[INST] ' + content.strip() + ' [/INST]' -}}
{%- else -%}
{%- generation -%}{{- ' ' + message['content'].strip() + ' ' + eos_token -}}{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}"""

V1 = """{{- bos_token -}}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}{{- message['content'] + ' ' -}}
{%- elif message['role'] == 'user' -%}{{- 'USER: ' + message['content'] + ' ASSISTANT:' -}}
{%- else -%}
{%- generation -%}{{- ' ' + message['content'] + eos_token -}}{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}"""

# The template, and the system message that LLaVA's conversations have where the record has none.
JINJA = {
    "v1": (V1, CHAT.format("user")),
    "llama_2": (LLAMA_2.replace("BEGIN", "bos_token"), VISION),
    "mistral_instruct": (
        "{{- bos_token -}}" + LLAMA_2.replace("{{- BEGIN -}}", ""),
        None,
    ),
    "mpt": (PLAIN_CHATML, MPT),
    "chatml_direct": (PLAIN_CHATML, "Answer the questions."),
    "qwen_1_5": (QWEN_2, None),
    "qwen_2": (QWEN_2, None),
    "qwen_2_5": (QWEN_2_5, None),
    "llama_3": (LLAMA_3, VISION),
    "gemma": (GEMMA, None),
}
