"""What each template writes, as (text, supervised) parts.

Written from LLaVA's `conversation.py` and the chat templates that Llama 2, Llama 3, Qwen and Gemma
publish, and not from the package's own table: the two must agree.
"""

OPEN, CLOSE = "\ue000", "\ue001"

Parts = list[tuple[str, bool]]


def mark(name: str) -> str:
    """A string that no text contains, for what only structure spells."""
    return f"{OPEN}{name}{CLOSE}"


IMAGE, BOS, EOS = mark("image"), mark("bos"), mark("eos")
START, END = mark("<|im_start|>"), mark("<|im_end|>")
HEADER, HEADER_END, EOT = (
    mark(f"<|{name}|>") for name in ("start_header_id", "end_header_id", "eot_id")
)
TURN, TURN_END = mark("<start_of_turn>"), mark("<end_of_turn>")

CHAT = (
    "A chat between a curious {0} and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the {0}'s questions."
)
VISION = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
MPT = (
    "A conversation between a user and an LLM-based AI assistant. The assistant gives helpful and "
    "honest answers."
)
QWEN = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

SYSTEM = {
    "plain": "",
    "v0": CHAT.format("human"),
    "v1": CHAT.format("user"),
    "v1_short": "",
    "llava_v1": CHAT.format("human"),
    "llama_2": VISION,
    "mistral_instruct": "",
    "mpt": MPT,
    "chatml_direct": "Answer the questions.",
    "qwen_1_5": "You are a helpful assistant.",
    "qwen_2": "You are a helpful assistant.",
    "qwen_2_5": QWEN,
    "llama_3": VISION,
    "gemma": "",
}
TEMPLATES = tuple(SYSTEM)
TRIMMED = ("llama_3", "gemma")
NO_SYSTEM = ("plain", "gemma")


def normalise(question: str) -> str:
    """A lone `<image>` goes first, on a line of its own; several stay where they are."""
    if question.count("<image>") == 1:
        question = ("<image>\n" + question.replace("<image>", "").strip()).strip()
    return question.replace("<image>", IMAGE)


def rendered(record: dict, template: str) -> Parts:
    """The parts of a clean record: system?, then human and gpt in turn."""
    turns = [turn["value"] for turn in record["conversations"]]
    system = SYSTEM[template]
    if record["conversations"][0]["from"] == "system":
        system = turns.pop(0)
    if template in TRIMMED:
        system, turns = system.strip(), [turn.strip() for turn in turns]
    rounds = list(zip(map(normalise, turns[0::2]), turns[1::2], strict=True))
    return LAYOUTS[template](system, rounds)


def plain(_: str, rounds: list[tuple[str, str]]) -> Parts:
    [(question, answer)] = rounds
    return [(IMAGE * question.count(IMAGE), False), (f"{answer}\n", True)]


def v0(system: str, rounds: list[tuple[str, str]]) -> Parts:
    """The header of an answer is learned, and the `###` that ends it."""
    parts = [(f"{system}\n\n" if system else "", False)]
    for question, answer in rounds:
        parts += [("###", True), (f" Human: {question}\n", False)]
        parts += [(f"### Assistant: {answer}\n", True)]
    return [*parts, ("### ", True)]


def v1(system: str, rounds: list[tuple[str, str]]) -> Parts:
    parts = [(f"{system} " if system else "", False)]
    for question, answer in rounds:
        parts += [(f"USER: {question} ASSISTANT:", False), (f" {answer}{EOS}", True)]
    return parts


def inst(system: str, rounds: list[tuple[str, str]], between: str = "") -> Parts:
    """Llama 2 and Mistral: the system text is inside the first question."""
    before = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
    parts = []
    for question, answer in rounds:
        parts += [(f"[INST] {before}{question} [/INST]", False), (f" {answer} {EOS}", True)]
        parts += [(between, False)]
        before = ""
    return parts[:-1]


def llama_2(system: str, rounds: list[tuple[str, str]]) -> Parts:
    return inst(system, rounds, BOS)


def chatml(system: str, rounds: list[tuple[str, str]], after: str = "") -> Parts:
    parts = [(f"{START}system\n{system}{END}{after}" if system else "", False)]
    for question, answer in rounds:
        parts += [(f"{START}user\n{question}{END}{after}{START}assistant\n", False)]
        parts += [(f"{answer}{END}", True), (after, False)]
    return parts


def qwen(system: str, rounds: list[tuple[str, str]]) -> Parts:
    return chatml(system, rounds, "\n")


def llama_3(system: str, rounds: list[tuple[str, str]]) -> Parts:
    def head(role: str) -> str:
        return f"{HEADER}{role}{HEADER_END}\n\n"

    parts = [(f"{head('system')}{system}{EOT}" if system else "", False)]
    for question, answer in rounds:
        parts += [(f"{head('user')}{question}{EOT}{head('assistant')}", False)]
        parts += [(f"{answer}{EOT}", True)]
    return parts


def gemma(_: str, rounds: list[tuple[str, str]]) -> Parts:
    parts = []
    for question, answer in rounds:
        parts += [(f"{TURN}user\n{question}{TURN_END}\n{TURN}model\n", False)]
        parts += [(f"{answer}{TURN_END}", True), ("\n", False)]
    return parts


LAYOUTS = {
    "plain": plain,
    "v0": v0,
    "v1": v1,
    "v1_short": v1,
    "llava_v1": v1,
    "llama_2": llama_2,
    "mistral_instruct": inst,
    "mpt": chatml,
    "chatml_direct": chatml,
    "qwen_1_5": qwen,
    "qwen_2": qwen,
    "qwen_2_5": qwen,
    "llama_3": llama_3,
    "gemma": gemma,
}
