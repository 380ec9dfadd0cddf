export { type Gguf, type ParseOptions, type ParseResult, parseHeader } from './header.ts';
export { Metadata, type Range } from './metadata.ts';
export { type GgufSource, type ReadGgufOptions, readGguf } from './read.ts';
export { type JoinedSplit, joinSplit, type SplitPart, splitError } from './split.ts';
export type { OnUnsupportedType, TensorInfo } from './tensors.ts';
export {
  describe as describeEntry,
  type MetadataEntry,
  type MetadataValue,
  type NumberArray,
  type ScalarType,
} from './values.ts';
export { type GgufLayout, layOutGguf } from './write.ts';
