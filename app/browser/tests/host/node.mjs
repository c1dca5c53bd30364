// Devices in Node, for ../tab: a call on a line of the standard input, an answer on a line of the standard output.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import init from "./terachat_browser.js";
import { answer } from "./devices.mjs";

await init({ module_or_path: readFileSync(new URL("terachat_browser_bg.wasm", import.meta.url)) });
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(answer(line) + "\n");
}
