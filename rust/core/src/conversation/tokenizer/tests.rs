//! Word by word against the whole string, and which tokenizers allow it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FAMILIES: [&str; 4] = ["sp_legacy", "sp_first", "chatml", "llama3"];
const PLACES: [Place; 3] = [Place::Start, Place::AfterToken, Place::AfterImage];

fn tree(family: &str) -> Value {
    let file = format!(
        "{}/../../tests/data/tokenizers/{family}/tokenizer.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("a tree")
}

fn load(tree: &Value, image_prefix: Option<bool>) -> Result<Tokenizer> {
    let added = tree["added_tokens"].as_array().expect("a list");
    let id = |name: &str| {
        let token = added.iter().find(|token| token["content"] == name);
        token.and_then(|token| token["id"].as_u64()).map(|id| id as u32)
    };
    let first = |names: &[&str]| names.iter().find_map(|name| id(name)).expect("a token");
    let options = TokenizerOptions {
        bos: id("<s>").or(id("<|begin_of_text|>")),
        add_bos: false,
        eos: first(&["</s>", "<|im_end|>", "<|eot_id|>"]),
        pad: first(&["<pad>", "<|endoftext|>", "<|end_of_text|>"]),
        image: first(&["<image>", "<|image_pad|>"]),
        image_prefix,
    };
    Tokenizer::from_json(&serde_json::to_vec(tree).expect("JSON"), options)
}

fn changed(family: &str, path: &str, value: Value) -> Value {
    let mut tree = tree(family);
    *tree.pointer_mut(path).expect("a place") = value;
    tree
}

fn with_added(family: &str, content: &str, normalized: bool) -> Value {
    let mut tree = tree(family);
    let added = tree["added_tokens"].as_array_mut().expect("a list");
    let mut token = added[0].clone();
    let ids = added.iter().filter_map(|token| token["id"].as_u64());
    token["id"] = (ids.max().expect("an id") + 1).into();
    token["content"] = content.into();
    token["special"] = false.into();
    token["normalized"] = normalized.into();
    added.push(token);
    tree
}

/// Every kind of tokenizer that is cut, with the added tokens that make a text an exception.
fn cut_trees() -> Vec<Value> {
    let gpt2 = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true});
    let always = json!({
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": false
    });
    let mut trees: Vec<Value> = FAMILIES.iter().map(|family| tree(family)).collect();
    trees.push(changed("llama3", "/pre_tokenizer", gpt2));
    trees.push(changed("sp_first", "/pre_tokenizer", always));
    for (content, normalized) in
        [("<extra>", false), ("red circle", false), ("red▁▁", true), ("▁x", true), (" x", false)]
    {
        trees.push(with_added("sp_legacy", content, normalized));
        trees.push(with_added("sp_first", content, normalized));
        trees.push(with_added("llama3", content, normalized));
    }
    trees.push(with_added("chatml", "<extra>", false));
    trees
}

fn one_of(pieces: &'static [&str]) -> impl Strategy<Value = String> {
    prop::sample::select(pieces).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => one_of(&[
            " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n ", "\u{a0}", "\u{2003}", "\u{85}", "\u{1f}",
            "\u{180e}", "\u{200b}", "\u{3000}", "▁", "▁▁", " ▁", "\0",
        ]),
        8 => one_of(&[
            "the", "red", "circle", "x", "It's", "don'T", "12", "1987", "!", "?!", "...", "(x)", "USER:", "###",
            "é", "e\u{301}", "\u{301}", "\u{327}\u{301}", "\u{212b}", "\u{212a}", "ﬁ", "漢字", "ни", "한", "\u{1112}\u{1161}",
            "🙂", "👩\u{200d}🚀", "\u{202e}", "\u{feff}", "\u{fb2c}", "\u{2000}",
        ]),
        2 => one_of(&[
            "<s>", "</s>", "<unk>", "<pad>", "<image>", "<|im_start|>", "<|im_end|>", "<|endoftext|>",
            "<|image_pad|>", "<|eot_id|>", "<extra>", "<extra", "red circle", "red  ", "red ▁", "red▁▁", "<0x0A>",
        ]),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn encoded(tokenizer: &Tokenizer, text: &str, place: Place, whole: bool) -> Chunk {
    let mut chunk = Chunk::default();
    if whole {
        tokenizer.encode_whole(text, place, &mut chunk).expect("ids");
    } else {
        tokenizer.encode_chunk(text, place, &mut chunk).expect("ids");
    }
    chunk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn words_give_the_ids_and_spans_of_the_whole(text in text()) {
        thread_local! {
            static TOKENIZERS: Vec<Tokenizer> =
                cut_trees().iter().map(|tree| load(tree, None).expect("a tokenizer")).collect();
        }
        TOKENIZERS.with(|tokenizers| {
            for (number, tokenizer) in tokenizers.iter().enumerate() {
                prop_assert_eq!(tokenizer.uncut(), None, "tokenizer {}", number);
                for place in PLACES {
                    let whole = encoded(tokenizer, &text, place, true);
                    // New words, then words of the table.
                    for _ in 0..2 {
                        prop_assert_eq!(&encoded(tokenizer, &text, place, false), &whole);
                    }
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn words_are_what_they_are_called() {
    let words = |rule: &Rule, text: &str| rule.words(text).map(str::to_owned).collect::<Vec<_>>();
    let pairs = Rule::of(&tree("sp_legacy")).expect("a rule");
    assert_eq!(
        words(&pairs, " red  dot,▁is\nit 19?"),
        [" red", "  dot", ",", "▁is", "\n", "it", " 19", "?"]
    );
    let text = " It's 19 (a)  b▁c\n d\u{a0} e\u{301} f";
    let expected = [" It", "'s", " 19", " (a", ")", "  b▁c", "\n d\u{a0} e\u{301}", " f"];
    assert_eq!(words(&Rule::Classes, text), expected);
    assert!(words(&pairs, "").is_empty() && words(&Rule::Classes, "").is_empty());
}

#[test]
fn other_tokenizers_are_not_cut_and_say_why() {
    let byte_level = json!({"type": "ByteLevel", "trim_offsets": true, "add_prefix_space": false});
    let pattern = "/pre_tokenizer/pretokenizers/0/pattern/Regex";
    let ends = "the model treats the ends of a text in a way of its own";
    let cases = [
        (changed("sp_legacy", "/model/merges/0", json!(["<0x0A>", "▁"])), "a merge takes a byte"),
        (changed("sp_legacy", "/model/merges/0", json!("x <0xE2>")), "a merge takes a byte"),
        (changed("sp_legacy", "/model/ignore_merges", json!(true)), ends),
        (changed("sp_legacy", "/model/end_of_word_suffix", json!("</w>")), ends),
        (
            changed("sp_legacy", "/model/byte_fallback", json!(false)),
            "the vocabulary has no token for some text",
        ),
        (changed("sp_legacy", "/model/dropout", json!(0.1)), "the model drops merges by chance"),
        (changed("sp_legacy", "/model/type", json!("Unigram")), "the model is not BPE"),
        (
            changed("sp_legacy", "/normalizer/normalizers/1", json!({"type": "NFKC"})),
            "no known pre-tokenizer",
        ),
        (changed("sp_legacy", "/normalizer/normalizers", json!([])), "spaces stay spaces"),
        (changed("sp_first", "/pre_tokenizer/split", json!(true)), "no known pre-tokenizer"),
        (changed("llama3", "/post_processor", byte_level), "the post-processor may move offsets"),
        (changed("llama3", pattern, json!(r"\s+|\S+")), "no known pre-tokenizer"),
        (
            changed("chatml", "/normalizer", json!({"type": "Lowercase"})),
            "the normalizer may change a word with its neighbours",
        ),
        (
            with_added("chatml", "<extra>", true),
            "an added token is looked for in the normalised text",
        ),
    ];
    for (tree, reason) in cases {
        let found = Rule::of(&tree).and_then(|rule| Literals::of(&tree, &rule));
        assert_eq!(found.err(), Some(reason));
    }
}

#[test]
fn a_text_after_a_picture_begins_as_asked() {
    let ids = |family: &str, image_prefix, place| {
        let tokenizer = load(&tree(family), image_prefix).expect("a tokenizer");
        encoded(&tokenizer, "\nIs it red?", place, false).ids
    };
    for family in &FAMILIES[..2] {
        let prefixed = ids(family, None, Place::Start);
        let bare = ids("sp_first", None, Place::AfterToken);
        assert_eq!(prefixed.len(), bare.len() + 1);
        assert_eq!(ids(family, Some(true), Place::AfterImage), prefixed);
        assert_eq!(ids(family, Some(false), Place::AfterImage), bare);
        assert_eq!(
            ids(family, None, Place::AfterImage),
            ids(family, Some(true), Place::AfterToken)
        );
    }
    let error = load(&tree("llama3"), Some(true)).err().expect("no prefix").to_string();
    assert_eq!(error, "image_prefix: the tokenizer puts no `▁` before a text");
}

#[test]
fn a_control_token_is_an_error_each_time() {
    let mut tree = tree("sp_legacy");
    tree["model"]["vocab"]["</s>"] = 2.into();
    let id = tree["model"]["vocab"]["▁red"].clone();
    tree["added_tokens"][0]["id"] = id;
    tree["added_tokens"][0]["content"] = "▁red".into();
    let tokenizer = load(&tree, None).expect("a tokenizer");
    for _ in 0..2 {
        let mut chunk = Chunk::default();
        let error = tokenizer
            .encode_chunk("a red dot", Place::Start, &mut chunk)
            .expect_err("a control id");
        assert!(error.to_string().contains("its control token `▁red`"), "{error}");
    }
}

#[test]
fn what_templates_write_is_special_even_if_the_file_does_not_say_so() {
    let mut tree = tree("chatml");
    for token in tree["added_tokens"].as_array_mut().expect("a list") {
        token["special"] = false.into();
    }
    let tokenizer = load(&tree, None).expect("a tokenizer");
    let text = "<|im_start|>user";
    let (length, id) = tokenizer.special_at(text).expect("a special token");
    assert_eq!(&text[..length], "<|im_start|>");
    assert!(!encoded(&tokenizer, text, Place::Start, false).ids.contains(&id));
}
