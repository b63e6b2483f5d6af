// Builds the page into dist/: one script, one style sheet, the document and its icon.
//
//   node build.mjs            for the program
//   node build.mjs --debug    with a source map, not minified

import { build } from "esbuild";
import { cp, mkdir, rename, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const debug = process.argv.includes("--debug");
const fresh = `${here}dist.new`;

// Beside the old one, so that a build that fails leaves that alone.
await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", style: "src/style/index.css" },
  outdir: fresh,
  bundle: true,
  format: "esm",
  target: ["es2023"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: !debug,
  sourcemap: debug,
  legalComments: "inline",
  logLevel: "warning",
});
for (const file of ["index.html", "icon.svg"]) {
  await cp(`${here}src/${file}`, `${fresh}/${file}`);
}
await rm(`${here}dist`, { recursive: true, force: true });
await rename(fresh, `${here}dist`);
