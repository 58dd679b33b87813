import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// The form's sources lie beside this folder and have no node_modules of their own.
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  resolve: { alias: { vitest: fileURLToPath(new URL("./node_modules/vitest", import.meta.url)) } },
  test: { include: ["viewer/src/**/*.test.ts", "form/src/**/*.test.ts"], environment: "node" },
});
