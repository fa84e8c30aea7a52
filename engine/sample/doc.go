// Package sample turns a row of logits into a token. It is pure: what is drawn depends on
// the logits, the request's Params, the tokens it has seen, its seed and its place, never
// on the other rows of the batch.
//
// The order of operations, which is that of Hugging Face transformers:
//
//  1. repetition penalty, over the distinct tokens of prompt and answer: logit / p if the
//     logit is above 0, else logit * p
//  2. presence and frequency penalty, over the tokens of the answer, as in vLLM:
//     logit - presence - frequency * count
//  3. logit bias; stop tokens are masked while fewer than MinTokens are generated
//  4. temperature: logit / T; with T = 0 the first largest logit is taken and that is all
//  5. top_k: logits of at least the k-th largest stay (ties stay)
//  6. top_p: the smallest set of largest probabilities that reaches p
//  7. min_p: probabilities of at least p times the largest
//  8. typical_p: the smallest set of tokens of least |-log probability - entropy| whose
//     probability reaches p (Meister et al., "Locally Typical Sampling", 2022)
//  9. one draw from what is left
//
// Each filter sees the probabilities as the one before it left them, scaled to sum 1.
// Log-probabilities are of the raw logits over the full vocabulary, before all of this,
// as OpenAI and vLLM give them.
//
// A Sampler holds the working memory of one goroutine and serves any number of
// sequences; a State belongs to one sequence.
package sample
