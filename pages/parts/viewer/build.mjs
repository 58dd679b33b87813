// Bundles the viewer, and the form where its sources are there. The first line of a bundle holds a
// sha256 of its sources, so that a test can tell a bundle that was not built again.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const bundles = [
  { folder: join(here, "src"), bundle: join(here, "viewer.js") },
  { folder: join(here, "..", "form", "src"), bundle: join(here, "..", "form", "form.js") },
];

// Relative path and text of every source but the tests, in the order of their paths.
function digest(folder) {
  const hash = createHash("sha256");
  const names = readdirSync(folder, { recursive: true })
    .map((name) => name.split(sep).join("/"))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .sort();
  for (const name of names) hash.update(`${name}\0`).update(readFileSync(join(folder, name))).update("\0");
  return hash.digest("hex");
}

for (const { folder, bundle } of bundles) {
  const entry = join(folder, "main.ts");
  if (!existsSync(entry)) {
    console.log(`${relative(here, bundle)}: no ${relative(here, entry)}, not built`);
    continue;
  }
  const made = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    target: "es2022",
    minify: true,
    charset: "utf8",
    legalComments: "none",
    absWorkingDir: here,
  });
  const foreign = Object.keys(made.metafile.inputs).filter((name) => relative(folder, join(here, name)).startsWith(".."));
  if (foreign.length > 0) throw new Error(`${relative(here, bundle)} is made of files outside its folder: ${foreign.join(", ")}`);
  const text = `// Built by "npm run build" in pages/parts/viewer; sources sha256 ${digest(folder)}\n${made.outputFiles[0].text.trimEnd()}\n`;
  writeFileSync(bundle, text);
  console.log(`${relative(here, bundle)}: ${text.length} characters`);
}
