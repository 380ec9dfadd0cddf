/** Texts that tokenizers stumble over, the same for the same seed. */
import { type Seeded, seeded } from './seeded.ts';

/** Words and signs of twenty scripts and more, each with what its script is known for. */
const SCRIPTS: readonly (readonly string[])[] = [
  ['the', 'The', 'THE', 'Hello', ' world', 'camelCase', 'HTTPServer2', 'naïve', 'Straße', 'œuvre', 'İstanbul', 'ĲSSEL'],
  ['Ελλάδα', 'ΟΔΟΣ', 'σίγμα', 'ᾳ', 'ΐ'],
  ['Россия', 'ёлка', 'ЩИ', 'й', 'ѣ', 'Ҋ'],
  ['Հայաստան', 'և'],
  ['שלום', 'שָׁלוֹם', 'ﬡ', '־'],
  ['العربية', 'مُحَمَّد', '٣٤', 'لا', '،', 'ﷺ'],
  ['हिन्दी', 'क्षत्रिय', '१२', '।'],
  ['বাংলা', 'ক্ষ', '৳'],
  ['ਪੰਜਾਬੀ', 'ગુજરાતી'],
  ['தமிழ்', 'கொ', '௧'],
  ['తెలుగు', 'ಕನ್ನಡ', 'മലയാളം'],
  ['සිංහල', 'ශ්‍රී'],
  ['ภาษาไทย', 'น้ำ', '๑๒'],
  ['ລາວ', 'ខ្មែរ', 'មួយ'],
  ['བོད་ཡིག', '༄༅'],
  ['မြန်မာ', '၁'],
  ['ქართული', 'ᲡᲐᲥᲐ', 'Ⴀ'],
  ['አማርኛ', '፩', 'ᏣᎳᎩ', 'ꭰ'],
  ['中文', '汉字漢字', '𠮷', '𪚥', '豈', '丽', '、', '。', '「」', '\u3000', '１２', '㍿', 'ＡＢ'],
  ['日本語', 'ひらがな', 'カタカナ', 'ﾊﾝｶｸ', 'が', 'か\u3099', 'ー'],
  ['한국어', '각', '\u1100\u1161\u11a8', 'ㄱ', '뷁'],
  ['Việt', 'tiếng', 'Yorùbá', 'ꞌ', 'ʔ', 'ǅ', 'ʰ', 'ﬁ', '𝒳', '𐐀', '𞤀'],
];

const CODE: readonly string[] = [
  'for (let i = 0; i < n; i++) {\n  sum += a[i] * 0x1F;\n}\n',
  'def f(x):\n\treturn x ** 2  # squared\n',
  '#include <stdio.h>\r\n',
  'SELECT * FROM "t" WHERE a >= 10 AND b != \'x\';',
  '<div class="a">&nbsp;</div>',
  '{"key": [1, 2.5e-3, null]}',
  'https://example.org/a?b=c&d=%20#e',
  '!=',
  '->',
  '::',
  '===',
  '\\n',
  '/* */',
  '//',
  '$HOME',
  '`a`',
  '@x',
  '~/',
  '^_^',
  '|>',
  '#!/bin/sh',
];

const NUMBERS: readonly string[] = ['0', '7', '42', '007', '1000', '12345', '3.14159', '1,000,000', '²', '½', 'Ⅷ', '①'];
const CONTRACTIONS: readonly string[] = ["'s", "'LL", "'re", "'Ve", "n't", "'d", "'M", '’s', "''", "'"];
const SIGNS: readonly string[] = [
  '.',
  ',',
  '!',
  '?',
  '...',
  '—',
  '«',
  '»',
  '$',
  '€',
  '+',
  '<',
  '>',
  '=',
  '%',
  '…',
  '（',
  '§',
];
const EMOJI: readonly string[] = ['🦙', '👩‍👩‍👧', '🏳️‍🌈', '🇩🇪', '\u{1F1E9}', '👍🏽', '☺️', '1️⃣', '❤', '⏰', '\u{1FAE8}'];
const MARKS: readonly string[] = ['e\u0301', '\u0308', 'a\u0323\u0302', '\u094d', '\u20dd', 'Z͑ͫ̓a', '\ufe0f', '\u034f'];
const SPACES: readonly string[] = [
  ' ',
  ' ',
  ' ',
  '  ',
  '   ',
  '\n',
  '\n\n',
  '\r\n',
  '\r',
  '\t',
  '\t\t',
  '\u0085',
  '\u00a0',
  '\u2003',
  '\u2028',
  '\u202f',
  '\u1680',
  '\v',
  '\f',
];
const CONTROLS: readonly string[] = [
  '\u0000',
  '\u0001',
  '\u0007',
  '\u001b',
  '\u007f',
  '\u0080',
  '\u009f',
  '\u00ad',
  '\u200b',
  '\u200d',
  '\u200e',
  '\u2060',
  '\ufeff',
  '\ue000',
  '\ufffd',
  '\ufffe',
  '\u{e0001}',
  '\u{10ffff}',
];
const LONE: readonly string[] = ['\ud83d', '\udc00', '\udbff'];

const kinds: readonly ((random: Seeded) => string)[] = [
  (random) => random.pick(random.pick(SCRIPTS)),
  (random) => random.pick(random.pick(SCRIPTS)),
  (random) => random.pick(random.pick(SCRIPTS)),
  (random) => random.pick(CODE),
  (random) => random.pick(NUMBERS),
  (random) => random.pick(CONTRACTIONS),
  (random) => random.pick(SIGNS),
  (random) => random.pick(EMOJI),
  (random) => random.pick(MARKS),
  (random) => random.pick(SPACES),
  (random) => random.pick(SPACES),
  (random) => random.pick(SPACES),
  (random) => random.pick(CONTROLS),
  (random) => ' '.repeat(random.int(2, random.pick([4, 9, 40]))),
  (random) => random.pick(LONE),
];

/**
 * `count` texts of up to `nPieces` pieces: code, twenty scripts, emoji, combining marks, control characters, runs of
 * spaces, lone surrogates; some with one of `specials` in between.
 */
export function randomTexts(
  count: number,
  seed: number | string,
  specials: readonly string[] = [],
  nPieces = 8,
): string[] {
  const random = seeded(`texts ${seed}`);
  const piece = () => {
    if (specials.length > 0 && random.uniform() < 0.04) return random.pick(specials);
    return random.pick(kinds)(random);
  };
  return Array.from({ length: count }, () => Array.from({ length: random.int(1, nPieces) }, piece).join(''));
}
