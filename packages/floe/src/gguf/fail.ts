import { type ErrorDetail, GgufError } from '../errors/index.ts';

type Details = Readonly<Record<string, ErrorDetail>>;

const AGAIN = 'The file is damaged or was written by a faulty tool. Download it again, or convert the model again.';

/** The file contradicts the format or itself. */
export function invalid(message: string, details: Details, remedy = AGAIN): GgufError {
  return new GgufError('gguf/invalid', message, { remedy, details });
}

/** The file ends inside what it announced. */
export function truncated(what: string, needBytes: number, sizeBytes: number, at: number): GgufError {
  return new GgufError(
    'gguf/truncated',
    `The file ends at byte ${sizeBytes}; ${what}, which starts at byte ${at}, needs it to reach byte ${needBytes}.`,
    {
      remedy: 'Its download was cut, or it is damaged. Download it again.',
      details: { what, offset: at, needBytes, sizeBytes },
    },
  );
}

/** Text from a file as a message may show it: escaped, and never longer than a line. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return JSON.stringify(short);
}
