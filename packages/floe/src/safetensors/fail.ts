import { type ErrorDetail, SafetensorsError } from '../errors/index.ts';

type Details = Readonly<Record<string, ErrorDetail>>;

const AGAIN = 'The file is damaged or was written by a faulty tool. Download it again.';

/** A file contradicts its format, itself or another file of the model. */
export function invalid(message: string, details: Details, remedy = AGAIN): SafetensorsError {
  return new SafetensorsError('safetensors/invalid', message, { remedy, details });
}

/** A file ends inside what it announced. */
export function truncated(file: FileFacts, what: string, needBytes: number): SafetensorsError {
  const { name, sizeBytes } = file;
  return new SafetensorsError(
    'safetensors/truncated',
    `${name} has ${sizeBytes} bytes; ${what} needs it to have ${needBytes}.`,
    {
      remedy: 'Its download was cut, or it is damaged. Download it again.',
      details: { file: name, what, needBytes, sizeBytes },
    },
  );
}

/** A dtype, or a way of scaling, that Floe can't run. */
export function unsupportedType(message: string, details: Details): SafetensorsError {
  return new SafetensorsError('safetensors/unsupported-type', message, {
    remedy: 'Take the model in F32, F16, BF16 or F8_E4M3, or as a GGUF.',
    details,
  });
}

/** A file that a model must have and whose folder has not. */
export function missingFile(folder: string, file: string, cause?: unknown): SafetensorsError {
  return new SafetensorsError('safetensors/missing-file', `${folder} has no ${file}.`, {
    remedy: 'Give the folder of a whole model: its config.json, tokenizer.json and all its .safetensors files.',
    details: { folder, file },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What is known of a file before it is read. */
export interface FileFacts {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** Text from a file as a message may show it: escaped, and never longer than a line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
