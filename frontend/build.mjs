// Builds the page into src/steepest/board/static: the same bytes from the same sources.
// node build.mjs [FOLDER]
import { build } from "esbuild";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "src", "steepest", "board", "static");

const licence = await readFile(join(here, "node_modules", "preact", "LICENSE"), "utf8");

await mkdir(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  charset: "utf8",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  loader: { ".svg": "dataurl" },
  banner: { js: `/*! With Preact.\n${licence.trim()}\n*/` },
  outdir: out,
});
for (const name of ["index.html", "favicon.svg"]) {
  await copyFile(join(here, "src", name), join(out, name));
}
