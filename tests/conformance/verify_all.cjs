// node verify_all.cjs MODULE.js ANCHOR FILE…: the report of each evidence file, one on a line.
"use strict";
const { readFileSync } = require("node:fs");
const [, , module_path, anchor, ...files] = process.argv;
const { verify } = require(module_path);
const anchor_text = readFileSync(anchor, "utf8");
for (const file of files) console.log(verify(readFileSync(file), anchor_text));
