//! What a `tokenizer.json` must be for its text to be cut.

use serde_json::{Value, json};

use super::words::MARK;

/// The split patterns of GPT-2, Llama 3 and Qwen2.
const PATTERNS: [&str; 3] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// What holds for either kind.
pub fn check(tree: &Value) -> Result<(), &'static str> {
    let model = &tree["model"];
    if model["type"] != "BPE" {
        return Err("the model is not BPE");
    }
    if model["dropout"].as_f64().is_some_and(|rate| rate != 0.0) {
        return Err("the model drops merges by chance");
    }
    if !keeps_offsets(&tree["post_processor"]) {
        return Err("the post-processor may move offsets");
    }
    Ok(())
}

/// Trimmed offsets depend on where in the text a token stands.
fn keeps_offsets(post_processor: &Value) -> bool {
    steps(post_processor, "processors").into_iter().all(|step| match step["type"].as_str() {
        Some("TemplateProcessing") => true,
        Some("ByteLevel") => step["trim_offsets"] == false,
        _ => false,
    })
}

/// Whether a tokenizer is byte-level with a known pattern; an error if it is, and its normalizer may
/// change a word with its neighbours.
pub fn is_byte_level(tree: &Value) -> Result<bool, &'static str> {
    if !splits_by_a_known_pattern(&tree["pre_tokenizer"]) {
        return Ok(false);
    }
    let normalizer = steps(&tree["normalizer"], "normalizers");
    let local = normalizer.into_iter().all(|step| step["type"] == "NFC");
    local.then_some(true).ok_or("the normalizer may change a word with its neighbours")
}

fn splits_by_a_known_pattern(pre_tokenizer: &Value) -> bool {
    let bytes = |step: &Value, splits: bool| {
        step["type"] == "ByteLevel"
            && step["add_prefix_space"] == false
            && step["use_regex"].as_bool().unwrap_or(true) == splits
    };
    let split = |step: &Value| {
        let pattern = step["pattern"]["Regex"].as_str();
        step["type"] == "Split"
            && step["behavior"] == "Isolated"
            && step["invert"] == false
            && pattern.is_some_and(|pattern| PATTERNS.contains(&pattern))
    };
    match steps(pre_tokenizer, "pretokenizers")[..] {
        [only] => bytes(only, true),
        [first, second] => split(first) && bytes(second, false),
        _ => false,
    }
}

/// What the merges of a SentencePiece-BPE make; an error if the tokenizer is something else.
pub fn merge_results(tree: &Value) -> Result<Vec<String>, &'static str> {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": MARK});
    let prepend = json!({"type": "Prepend", "prepend": MARK});
    let normalizer = steps(&tree["normalizer"], "normalizers");
    let before_model = steps(&tree["pre_tokenizer"], "pretokenizers");
    let marks = before_model.iter().all(|step| is_metaspace(step));
    if !marks || !normalizer.iter().all(|&step| *step == replace || *step == prepend) {
        return Err("no known pre-tokenizer");
    }
    if before_model.is_empty() && !normalizer.contains(&&replace) {
        return Err("spaces stay spaces");
    }
    check_model(&tree["model"])?;
    let merges = tree["model"]["merges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let results: Option<Vec<String>> = merges.iter().map(merge_result).collect();
    results.ok_or("a merge takes a byte")
}

fn is_metaspace(step: &Value) -> bool {
    step["type"] == "Metaspace" && step["replacement"] == MARK && step["split"] == false
}

fn check_model(model: &Value) -> Result<(), &'static str> {
    let empty = |key: &str| model[key].as_str().unwrap_or_default().is_empty();
    let spells_bytes = (0..256).all(|byte| !model["vocab"][format!("<0x{byte:02X}>")].is_null());
    if model["byte_fallback"] != true || !spells_bytes {
        return Err("the vocabulary has no token for some text");
    }
    if model["ignore_merges"] == true
        || !empty("continuing_subword_prefix")
        || !empty("end_of_word_suffix")
    {
        return Err("the model treats the ends of a text in a way of its own");
    }
    Ok(())
}

/// What a merge makes of two tokens of text. It is a list or, in older files, a string with a space
/// between the two.
fn merge_result(merge: &Value) -> Option<String> {
    let (left, right) = match merge {
        Value::String(pair) => pair.split_once(' ')?,
        _ => (merge[0].as_str()?, merge[1].as_str()?),
    };
    (!is_byte(left) && !is_byte(right)).then(|| format!("{left}{right}"))
}

fn is_byte(token: &str) -> bool {
    token.len() == 6 && token.starts_with("<0x") && token.ends_with('>')
}

/// A step and the steps inside a `Sequence`, which lists them under `key`; nothing for null.
fn steps<'a>(step: &'a Value, key: &str) -> Vec<&'a Value> {
    match (step, step[key].as_array()) {
        (Value::Null, _) => Vec::new(),
        (_, Some(inner)) => inner.iter().flat_map(|step| steps(step, key)).collect(),
        _ => vec![step],
    }
}
