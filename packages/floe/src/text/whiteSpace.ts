/**
 * White space as llama.cpp has it, written for a regex's class: not as in JavaScript, whose \s has U+FEFF and lacks
 * U+0085.
 */
export const SPACES = '\\t-\\r \\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000';

const SPACE = new RegExp(`^[${SPACES}]$`, 'u');

/** Whether the character is one of them. */
export function isSpace(char: string): boolean {
  return SPACE.test(char);
}
