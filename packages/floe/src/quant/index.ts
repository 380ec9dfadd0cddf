export * from './format.ts';
export * from './formats.ts';
export * from './ggmlTypes.ts';
export { halfToNumber, numberToHalf } from './half.ts';
