#!/bin/sh
# Makes the built-in model (quant/builtin/model.gguf) from nothing: tokenizer, shards,
# pretraining, fine-tuning on requests for stories, quantization, evaluation.
#
#   train/recipes/stories.sh DATA OUT      DATA holds pretrain/*.jsonl.gz, OUT is made
#
# STEPS and SFT_STEPS set how long: the defaults take about 80 minutes on two cores.
# Interrupted, the same command goes on where it was.
set -eu
data=$1 out=$2 ingot=${INGOT:-bin/ingot}
mkdir -p "$out"
books="storybooks fairytales children-books"
files=
for b in $books; do files="$files $data/pretrain/$b.train.jsonl.gz"; done

[ -e "$out/tok" ] || $ingot train tokenizer --vocab-size 4096 --out "$out/tok" $files
for b in $books; do
	[ -e "$out/$b" ] || $ingot train data --tokenizer "$out/tok" --out "$out/$b" "$data/pretrain/$b.train.jsonl.gz"
done
[ -e "$out/ask" ] || $ingot train data --tokenizer "$out/tok" --ask "Tell me a story about {title}." --valid 0.03 \
	--out "$out/ask" "$data/pretrain/storybooks.train.jsonl.gz"

$ingot train pretrain --preset mini --shape layers=10 --tokenizer "$out/tok" --out "$out/pre" --steps "${STEPS:-1500}" \
	--batch-tokens 8192 --lr 4e-3 --warmup 10 --decay 0.5 --prompt "Once upon a time there was a fox" \
	--data "$out/storybooks=0.6" --data "$out/fairytales=1.5" --data "$out/children-books=3"
$ingot train sft --model "$out/pre/model" --data "$out/ask" --out "$out/sft" --steps "${SFT_STEPS:-120}" \
	--batch-tokens 8192 --lr 1e-3 --warmup 5
$ingot quantize "$out/sft/model" "$out/model.gguf" Q8_0
echo "built: $out/model.gguf"
