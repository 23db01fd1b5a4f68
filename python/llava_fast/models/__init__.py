"""Thin models over `llava_fast.ops`: vision tower, projector, language model, LLaVA."""
