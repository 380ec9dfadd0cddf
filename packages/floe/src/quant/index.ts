export { e4m3ToNumber } from './e4m3.ts';
export { F8_BLOCK_ELEMENTS } from './f8_e4m3.ts';
export * from './format.ts';
export * from './formats.ts';
export * from './ggmlTypes.ts';
export { halfToNumber, numberToHalf } from './half.ts';
