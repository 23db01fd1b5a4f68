"""How three families of models write a conversation: the text that the peers encode."""

from dataclasses import dataclass

from benches.peers.llava_text import SYSTEM, image_first

LLAMA_3_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
Span = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """What stands around the turns; `lead` and `stop` are learned with the answer between them."""

    template: str
    start: str
    user: tuple[str, str]
    assistant: str
    lead: str
    stop: str
    end: str
    image: str = "<image>"

    def turns(self, record: dict) -> list[dict]:
        """The turns of a record as they are written, with the token of a picture."""
        turns = (
            image_first(record["conversations"]) if "image" in record else record["conversations"]
        )
        if self.image == "<image>":
            return turns
        return [t | {"value": t["value"].replace("<image>", self.image)} for t in turns]

    def render(self, record: dict) -> tuple[str, list[Span]]:
        """A conversation as one string, and the characters that are learned."""
        parts, spans, length = [self.start], [], len(self.start)
        for turn in self.turns(record):
            if turn["from"] == "human":
                piece = self.user[0] + turn["value"] + self.user[1]
            else:
                piece = self.assistant + self.lead + turn["value"] + self.stop + self.end
                spans.append((length + len(self.assistant), length + len(piece) - len(self.end)))
            parts.append(piece)
            length += len(piece)
        return "".join(parts), spans

    def chat_template(self, bos: str) -> str:
        """The same for `apply_chat_template`, which then says what the assistant wrote."""
        before, after = self.user
        user = f"{{{{ {before!r} + m['content'] + {after!r} }}}}"
        answer = f"{{{{ {self.lead!r} + m['content'] + {self.stop!r} }}}}"
        return (
            f"{{{{ {bos + self.start!r} }}}}{{% for m in messages %}}"
            f"{{% if m['role'] == 'user' %}}{user}{{% else %}}{{{{ {self.assistant!r} }}}}"
            f"{{% generation %}}{answer}{{% endgeneration %}}{{{{ {self.end!r} }}}}"
            "{% endif %}{% endfor %}"
        )


VICUNA = Layout("v1", SYSTEM + " ", ("USER: ", " "), "ASSISTANT:", " ", "</s>", "")
CHATML = Layout(
    "qwen_2",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
    ("<|im_start|>user\n", "<|im_end|>\n"),
    "<|im_start|>assistant\n",
    "",
    "<|im_end|>",
    "\n",
    "<|image_pad|>",
)
LLAMA_3 = Layout(
    "llama_3",
    f"<|start_header_id|>system<|end_header_id|>\n\n{LLAMA_3_SYSTEM}<|eot_id|>",
    ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "",
    "<|eot_id|>",
    "",
)
