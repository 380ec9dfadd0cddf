import { Environment, Interpreter, Template } from '@huggingface/jinja';

/** Runs in the template worker: the only code that executes what a model file says. Knows no host and no errors. */

/** To the worker: render one template with each of `contexts`. */
export interface TemplateRequest {
  readonly request: number;
  readonly template: string;
  /** Data only: a function in a context would be callable by the template. */
  readonly contexts: readonly Readonly<Record<string, unknown>>[];
  /** What `strftime_now` takes for now: milliseconds since 1970. */
  readonly nowMs: number;
}

/** From the worker: that it runs, and one answer to each request. */
export type TemplateReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'rendered'; readonly request: number; readonly texts: readonly string[] }
  | { readonly kind: 'failed'; readonly request: number; readonly message: string };

export const MAX_TEMPLATE_BYTES = 64 * 1024;
export const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** `range(1e8)` takes 4 GB and the page with it; no chat needs a longer one than this. */
export const MAX_RANGE = 100_000;

/** A list a template makes by itself, by adding lists or taking texts apart. */
const MAX_ITEMS = 4 * 1024 * 1024;

const utf8 = new TextEncoder();
let parsed: { readonly source: string; readonly template: Template } | null = null;

/** Answers a request. Never throws: what goes wrong is in the answer. */
export function answerTemplateRequest({ request, template, contexts, nowMs }: TemplateRequest): TemplateReply {
  try {
    return { kind: 'rendered', request, texts: contexts.map((context) => renderTemplate(template, context, nowMs)) };
  } catch (error) {
    // Too deep a nesting is a RangeError of the engine, and as much the template's fault as any other.
    return { kind: 'failed', request, message: error instanceof Error ? error.message : String(error) };
  }
}

/** The text a template makes of `context`. Throws an Error with what the template or its limits object to. */
export function renderTemplate(source: string, context: Readonly<Record<string, unknown>>, nowMs = 0): string {
  const bytes = utf8.encode(source).length;
  if (bytes > MAX_TEMPLATE_BYTES) throw new Error(`it is ${bytes} bytes long; at most ${MAX_TEMPLATE_BYTES} are run`);
  if (parsed?.source !== source) parsed = { source, template: new Template(source) };

  const environment = new Environment();
  for (const [name, value] of Object.entries(globals)) environment.set(name, value);
  environment.set('strftime_now', (format: unknown) => strftime(String(format), new Date(nowMs)));
  for (const [name, value] of Object.entries(context)) environment.set(name, value);
  const text = String(new BoundedInterpreter(environment).run(parsed.template.parsed).value);
  const outputBytes = text.length > MAX_OUTPUT_BYTES ? text.length : utf8.encode(text).length;
  if (outputBytes > MAX_OUTPUT_BYTES)
    throw new Error(`it wrote ${outputBytes} bytes; at most ${MAX_OUTPUT_BYTES} are taken`);
  return text;
}

/**
 * Looks at every value on the way: a text that doubles forty times ends not only its worker but, in V8, the process, and
 * sooner than a second is over.
 */
class BoundedInterpreter extends Interpreter {
  override evaluate(...args: Parameters<Interpreter['evaluate']>): ReturnType<Interpreter['evaluate']> {
    const result = super.evaluate(...args);
    const { value } = result as { readonly value: unknown };
    const isTooLong =
      (typeof value === 'string' && value.length > MAX_OUTPUT_BYTES) ||
      (Array.isArray(value) && value.length > MAX_ITEMS);
    if (isTooLong)
      throw new Error(`it made a value of length ${(value as string).length}; at most ${MAX_OUTPUT_BYTES} are taken`);
    return result;
  }
}

// What Template.render would define, with a `range` that ends.
const globals: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
};

function range(start: unknown, stop?: unknown, step: unknown = 1): number[] {
  const [from, to] = typeof stop === 'number' ? [Number(start), stop] : [0, Number(start)];
  const by = Number(step ?? 1);
  const length = Math.max(0, Math.ceil((to - from) / by));
  // Also catches a step of 0 and what is no number.
  if (!(length <= MAX_RANGE)) throw new Error(`it asks for a range of ${length}; at most ${MAX_RANGE} are made`);
  return Array.from({ length }, (_, i) => from + i * by);
}

function strftime(format: string, now: Date): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const named = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-US', options).format(now);
  const parts: Readonly<Record<string, string>> = {
    '%Y': String(now.getFullYear()),
    '%y': two(now.getFullYear() % 100),
    '%m': two(now.getMonth() + 1),
    '%d': two(now.getDate()),
    '%B': named({ month: 'long' }),
    '%b': named({ month: 'short' }),
    '%A': named({ weekday: 'long' }),
    '%a': named({ weekday: 'short' }),
    '%H': two(now.getHours()),
    '%I': two(now.getHours() % 12 || 12),
    '%M': two(now.getMinutes()),
    '%S': two(now.getSeconds()),
    '%p': now.getHours() < 12 ? 'AM' : 'PM',
    '%%': '%',
  };
  return format.replace(/%./g, (directive) => parts[directive] ?? directive);
}
