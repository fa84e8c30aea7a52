// Package kv keeps the books of the paged key/value cache: which block holds which
// tokens, and for whom. It is integers only; the bytes of keys and values lie elsewhere,
// under the same block numbers.
//
// The cache is cut into blocks of BlockTokens tokens. A [Pool] hands them out and counts
// their owners; a [Table] is one sequence's blocks in order; a [Chain] is the sequence of
// hashes that names the contents of its full blocks. Each block is in exactly one state:
//
//	          Alloc                    last Release, contents published
//	free ───────────────► in use ────────────────────────────────────────► cached
//	  ▲                    │  ▲                                              │ │
//	  └────────────────────┘  └──────────────────────────────────────────────┘ │
//	   last Release, nothing               a prefix hit (Open)                  │
//	   published            ▲                                                   │
//	                        └───────── Alloc, least recently used first ────────┘
//
// The life of a sequence: its Chain is extended over the prompt, Lookup finds the longest
// run of blocks that hold its beginning, Open takes them, Grow adds room before each step
// (and copies a block that is still shared), Publish makes blocks that a step has filled
// known to others, Fork shares everything with a sibling, Close gives everything back.
//
// Nothing here is safe for concurrent use: the engine's loop owns it.
package kv
