// Measures the prebuilt llama.cpp of node-llama-cpp doing the work of `ingot bench model`.
// It takes the same flags and prints the same JSON lines. Its decoding includes greedy
// sampling, for the library has no step without. PEERS is the folder of install.sh.
import {basename, join} from "node:path";
import {pathToFileURL} from "node:url";
import {parseArgs} from "node:util";

const text = {type: "string"};
const {values: flags} = parseArgs({options: {
	model: text, prompt: {...text, default: "512"}, gen: {...text, default: "64"}, batch: {...text, default: "1"},
	repeat: {...text, default: "3"}, warmup: {...text, default: "1"}, threads: {...text, default: "0"}, json: {type: "boolean"},
}});
const [prompt, gen, repeat, warmup, threads] = ["prompt", "gen", "repeat", "warmup", "threads"].map((name) => Number(flags[name]));
const batches = flags.batch.split(",").map(Number);

const {getLlama} = await import(pathToFileURL(join(process.env.PEERS, "node/node_modules/node-llama-cpp/dist/index.js")));
const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: "error"});
const model = await llama.loadModel({modelPath: flags.model, gpuLayers: 0, useMmap: false, defaultContextFlashAttention: true});

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const seconds = async (work) => {
	const start = performance.now();
	await work();
	return (performance.now() - start) / 1000;
};
const report = (line) => console.log(JSON.stringify({model: basename(flags.model), table: "llama.cpp (node-llama-cpp)", threads, prompt, ...line}));
const tokens = (seed) => Array.from({length: prompt}, (_, i) => (i * 7919 + seed) % 30000);

// context runs work with a context of n sequences.
async function context(n, work) {
	const c = await model.createContext({sequences: n, contextSize: prompt + warmup + gen + 64, batchSize: Math.max(512, n), threads});
	await work(c);
	await c.dispose();
}

await context(1, async (c) => {
	const sequence = c.getSequence(), times = [];
	for (let i = 0; i < warmup + repeat; i++) {
		await sequence.clearHistory();
		times.push(await seconds(() => sequence.evaluateWithoutGeneratingNewTokens(tokens(i))));
	}
	report({kind: "prefill", batch: 1, tokens: prompt, tok_s: prompt / median(times.slice(warmup))});
});

// one generates gen tokens after the prompt and returns the times at which they came.
async function one(sequence, seed) {
	const all = tokens(seed), times = [];
	await sequence.evaluateWithoutGeneratingNewTokens(all.slice(0, -1));
	for await (const _ of sequence.evaluate(all.slice(-1), {temperature: 0, yieldEogToken: true})) {
		times.push(performance.now());
		if (times.length > warmup + gen) {
			return times;
		}
	}
	return times;
}

for (const n of gen > 0 ? batches : []) {
	await context(n, async (c) => {
		const all = await Promise.all(Array.from({length: n}, (_, s) => one(c.getSequence(), s)));
		const steps = all.flatMap((times) => times.slice(1).map((t, i) => (t - times[i]) / 1000).slice(warmup));
		report({kind: "decode", batch: n, tokens: steps.length, tok_s: n / median(steps), context: prompt});
	});
}
process.exit(0);
