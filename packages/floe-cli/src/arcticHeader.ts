/**
 * `node packages/devkit/run.mjs packages/floe-cli/src/arcticHeader.ts FILE`: a file of Arctic's true size for `floe plan`,
 * which reads nothing but its header. What follows the header is a hole: it takes a megabyte of the disk.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { virtualModel } from '@floe/testkit/virtualModel';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('a FILE to write');
const model = virtualModel({ nLayers: 35, nVocab: 32_000 });
const file = openSync(path, 'w');
writeSync(file, model.header);
ftruncateSync(file, model.sizeBytes);
closeSync(file);
