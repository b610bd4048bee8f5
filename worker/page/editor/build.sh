#!/bin/sh
# Makes assets/codemirror.js anew: CodeMirror 6 with what entry.js names, as one minified file, and
# its licences in front. Versions are those of package-lock.json; the outcome is committed, so that
# building Weir needs neither node nor a network.
set -eu
cd "$(dirname "$0")"
npm ci --silent --no-audit --no-fund --ignore-scripts
node node_modules/esbuild/install.js
parts=$(node -p 'Object.entries(JSON.parse(require("fs").readFileSync("package-lock.json")).packages).filter(([at, p]) => at && !p.dev).map(([at, p]) => at.replace("node_modules/", "") + " " + p.version).join(", ")')
npx esbuild entry.js --bundle --minify --format=esm --target=es2022 --legal-comments=none --outfile=out.js --log-level=warning
# Every part has to be under a licence that LICENCES holds.
node -e '
  const fs = require("fs");
  const packages = Object.entries(JSON.parse(fs.readFileSync("package-lock.json")).packages).filter(([at, p]) => at && !p.dev);
  for (const [at, p] of packages) if (p.license !== "MIT") throw new Error(`${at} is under ${p.license}`);
  const texts = packages.map(([at]) => `${at.replace("node_modules/", "")}\n\n${fs.readFileSync(`${at}/LICENSE`, "utf8").trim()}\n`);
  fs.writeFileSync("LICENCES", texts.join(`\n${"-".repeat(78)}\n\n`));
'
{
  echo "/* CodeMirror 6, MIT; texts of licences: worker/page/editor/LICENCES; made by worker/page/editor/build.sh of"
  echo "   $parts */"
  cat out.js
} > ../assets/codemirror.js
rm -r out.js node_modules
printf 'assets/codemirror.js: %s bytes, %s gzipped\n' "$(wc -c < ../assets/codemirror.js)" "$(gzip -9 -c ../assets/codemirror.js | wc -c)"
