import { isObject, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import {
  anything,
  aText,
  expecting,
  type OptionChecks,
  oneOf,
  problemsText,
  readOptions,
  wholeNumber,
} from '../../options.ts'
import { isRowModel, mark } from '../../sink/on.ts'
import { type RowModel, type RowOf, Sink, type SinkBatch, type SinkClass, type SinkScope } from '../../sink/sink.ts'
import type { Compression } from './file-writer.ts'
import { FencedFiles } from './fenced-files.ts'
import { FileAttempt, type FileFormat } from './file-attempt.ts'
import { type PathTemplate, pathTemplate } from './path-template.ts'

/** The options of every sink that writes files. */
export interface FileSinkOptions<M extends RowModel> {
  /** The zod schema or class of the rows. */
  readonly model: M
  /**
   * The path of each window's file, such as `out/{job}/{window}.jsonl.gz`. Placeholders: `{job}`; `{window}` and `{window.start}`, the
   * start in UTC as `20260101T000000Z`; `{window.end}`; `{date}`, the day of the start as `2026-01-01`; `{run}`; `{part}`. Temporary files
   * are in a folder `.piko` below the folder before the first placeholder.
   */
  readonly path: string
  /** The name for messages and metrics. Default: the name of the format. */
  readonly name?: string
  /** The IANA time zone of `{date}`. Default `UTC`. */
  readonly timezone?: string
  /** The compression of the file. Default: `gzip` for a path that ends with `.gz`, `zstd` for `.zst`, otherwise `none`. */
  readonly compress?: Compression
  /** The number of rows per file. Needs `{part}` in the path. Default: one file. */
  readonly partRows?: number
  /** Rows per delivered batch. Default 1,000. */
  readonly batchSize?: number
  /** The approximate size of a batch in memory, in bytes. Default 8,000,000. */
  readonly batchBytes?: number
}

/** A sink class with one model. Its rows are written to files. */
export type FileSinkClass<M extends RowModel> = SinkClass<
  Sink & { readonly rows: (rows: RowOf<M>[], batch: SinkBatch) => Promise<void> }
>

export const FILE_CHECKS: OptionChecks<FileSinkOptions<RowModel>> = {
  model: expecting('a zod schema or a class', isRowModel),
  path: anything,
  name: aText,
  timezone: expecting('an IANA time zone, such as Europe/Berlin', isTimeZone),
  compress: oneOf('none', 'gzip', 'zstd'),
  partRows: wholeNumber(1),
  batchSize: wholeNumber(1),
  batchBytes: wholeNumber(1),
}

/** The parts of a file sink that depend on the format of the files. */
export interface FormatChoice<O> {
  /** The name of the format, for messages. */
  readonly name: string
  /** The checks of all options, including those of the format. */
  readonly checks: OptionChecks<O>
  /** Finds problems that the checks of single options can't find. */
  readonly problems: (options: O) => readonly string[]
  readonly format: (options: O) => FileFormat
}

/**
 * Creates a sink class that writes files in a format.
 *
 * @throws PikoError `SINK_FAILED` naming every wrong option and every problem of the path
 */
export function fileSink<M extends RowModel, O extends FileSinkOptions<M>>(
  given: O,
  choice: FormatChoice<O>,
): FileSinkClass<M> {
  const example = `{ model: Order, path: 'out/{job}/{window}.${choice.name}' }`
  const { options, problems } = readOptions<O>(given, choice.checks, example, ['model', 'path'])
  const path = pathTemplate(propertyOf(given, 'path'))
  const all = [...problems, ...path.problems]
  if (isObject(given) && problems.length === 0) all.push(...choice.problems(options as O), ...misfits(options as O))
  if (all.length > 0 || !('template' in path)) {
    throw new PikoError('SINK_FAILED', problemsText(`sink ${choice.name}`, all), { details: { problems: all } })
  }
  return classOf(options as O, path.template, choice)
}

function misfits({ path, compress, partRows }: FileSinkOptions<RowModel>): string[] {
  const problems: string[] = []
  const byName = compressionOf(path)
  if (compress !== undefined && byName !== 'none' && compress !== byName) {
    problems.push(`path ends as a ${byName} file, but compress is "${compress}"; expected both to agree`)
  }
  const isParted = path.includes('{part}')
  if (partRows !== undefined && !isParted) problems.push('partRows needs {part} in the name of the file')
  if (partRows === undefined && isParted) problems.push('path has {part}, but partRows is missing')
  return problems
}

function compressionOf(path: string): Compression {
  return path.endsWith('.gz') ? 'gzip' : path.endsWith('.zst') ? 'zstd' : 'none'
}

function classOf<M extends RowModel, O extends FileSinkOptions<M>>(
  options: O,
  template: PathTemplate,
  choice: FormatChoice<O>,
): FileSinkClass<M> {
  const { name = choice.name, batchSize = Sink.batchSize, batchBytes = Sink.batchBytes } = options
  const { timezone = 'UTC', partRows = Infinity, compress = compressionOf(options.path) } = options
  const format = choice.format(options)

  class Files extends Sink {
    static override readonly batchSize = batchSize
    static override readonly batchBytes = batchBytes
    static override readonly guarantee = 'transactional'
    readonly #files = new FencedFiles(template.root)
    readonly #attempts = new Map<string, FileAttempt>()

    override async open(): Promise<void> {
      await format.load?.()
      await this.#files.open()
    }

    rows(rows: RowOf<M>[], batch: SinkBatch): Promise<void> {
      return this.#attemptOf(batch).write(rows)
    }

    override async finish(scope: SinkScope): Promise<void> {
      await this.#attemptOf(scope).publish()
      this.#attempts.delete(keyOf(scope))
    }

    override async discard(scope: SinkScope): Promise<void> {
      const attempt = this.#attempts.get(keyOf(scope))
      this.#attempts.delete(keyOf(scope))
      await attempt?.discard()
    }

    override async close(): Promise<void> {
      const attempts = [...this.#attempts.values()]
      this.#attempts.clear()
      for (const attempt of attempts) await attempt.discard()
    }

    #attemptOf(scope: SinkScope): FileAttempt {
      const key = keyOf(scope)
      const attempt =
        this.#attempts.get(key) ??
        new FileAttempt({ sink: name, template, timezone, partRows, compress, format, files: this.#files, scope })
      this.#attempts.set(key, attempt)
      return attempt
    }
  }
  Object.defineProperty(Files, 'name', { value: name })
  mark(Reflect.get(Files.prototype, 'rows'), options.model)
  return Files
}

function keyOf({ runId, attempt, fence }: SinkScope): string {
  return `${runId}/${attempt}/${fence}`
}

function isTimeZone(value: unknown): boolean {
  return typeof value === 'string' && new Intl.DateTimeFormat('en', { timeZone: value }) instanceof Object
}
