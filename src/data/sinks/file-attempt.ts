import { basename, join } from 'node:path'
import { PikoError, toError } from '../../errors.ts'
import type { SinkScope } from '../../sink/sink.ts'
import type { FencedFiles, FinishedFile } from './fenced-files.ts'
import { type Compression, FileWriter } from './file-writer.ts'
import type { PathTemplate } from './path-template.ts'

/** Turns rows into the bytes of a file. */
export interface FileFormat {
  /** Loads the libraries of the format. Called before the first file. */
  readonly load?: () => Promise<void>
  readonly begin: (file: FileWriter, place: string) => RowEncoder
}

/** @typeParam E encoded rows, which the encoder of any part can write */
export interface RowEncoder<E = unknown> {
  /**
   * Encodes rows and writes nothing.
   *
   * @param from the index of the first row in its batch, for messages
   * @throws PikoError `SINK_ROW_INVALID`
   */
  encode(rows: readonly object[], from: number): Promise<E>
  write(encoded: E): Promise<void>
  /** Writes the remaining rows and the end of the file. */
  end(): Promise<void>
}

export interface AttemptOptions {
  readonly sink: string
  readonly template: PathTemplate
  readonly timezone: string
  readonly partRows: number
  readonly compress: Compression
  readonly format: FileFormat
  readonly files: FencedFiles
  readonly scope: SinkScope
}

/** Rows of one part. */
interface EncodedRows {
  readonly encoded: unknown
  readonly count: number
}

interface OpenFile {
  readonly file: FileWriter
  readonly encoder: RowEncoder
  rows: number
}

/** The shortest day has 23 hours, because clocks change. A shorter window may share its day, and so its file, with other windows. */
const MIN_DAY_MS = 23 * 3_600_000

/**
 * The files of one attempt, which are temporary until {@link publish}. Calls are executed one after another.
 *
 * States: writing → `publish()` or `discard()` → ended. After a failed write only `discard()` is possible, because the file may end within
 * a row.
 */
export class FileAttempt {
  readonly #options: AttemptOptions
  #set = ''
  #folder: string | undefined
  #open: OpenFile | undefined
  readonly #finished: FinishedFile[] = []
  #failure: Error | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: AttemptOptions) {
    this.#options = options
  }

  write(rows: readonly object[]): Promise<void> {
    return this.#inTurn(async () => {
      // All rows are encoded before any is written. Otherwise a wrong row would leave the rows before it in an earlier part, and the caller
      // would send them again.
      for (const { encoded, count } of await this.#encode(rows)) {
        const open = this.#open ?? (await this.#begin())
        await open.encoder.write(encoded)
        open.rows += count
        if (open.rows >= this.#options.partRows) await this.#end(open)
      }
    })
  }

  /** Encodes rows, divided into the parts to which they belong. */
  async #encode(rows: readonly object[]): Promise<EncodedRows[]> {
    const { partRows } = this.#options
    const parts: EncodedRows[] = []
    if (rows.length === 0) return parts
    const { encoder, rows: written } = this.#open ?? (await this.#begin())
    for (let from = 0, room = partRows - written; from < rows.length; from += room, room = partRows) {
      const part = rows.slice(from, from + room)
      parts.push({ encoded: await encoder.encode(part, from), count: part.length })
    }
    return parts
  }

  /** Replaces the files of earlier runs. If no row was written, publishes a file without rows. */
  publish(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#open || this.#finished.length === 0) await this.#end(this.#open ?? (await this.#begin()))
      const { files, scope } = this.#options
      const folder = this.#folder ?? ''
      await files.publish({ set: this.#set, fence: scope.fence, folder }, this.#finished, (name) => this.#isPart(name))
    })
  }

  /** Deletes the temporary files. Never rejects. */
  async discard(): Promise<void> {
    this.#failure ??= new PikoError('STOPPED', `sink ${this.#options.sink}: the attempt is over`)
    await this.#last.catch(() => {})
    await this.#open?.file.abandon()
    const { files, scope } = this.#options
    if (this.#folder === undefined) return
    await files.discard(this.#folder).catch((error: unknown) => {
      scope.log.warn(
        { err: toError(error), folder: this.#folder },
        'temporary files of a failed attempt could not be deleted; the sink deletes them if it opens at least a day later',
      )
    })
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(async () => {
      if (this.#failure) throw this.#failure
      try {
        await work()
      } catch (error) {
        // A wrong row leaves the file unchanged, so the attempt can continue.
        if (!isOfRow(error)) this.#failure = toError(error)
        throw error
      }
    })
    this.#last = turn.catch(() => {})
    await turn
  }

  async #begin(): Promise<OpenFile> {
    const { template, timezone, compress, format, files, scope } = this.#options
    assertPlace(this.#options)
    const values = { job: scope.jobId, run: scope.runId, window: scope.window, timezone }
    this.#set = template.fill(values)
    this.#folder ??= await files.begin(this.#set, scope.fence)
    const part = this.#finished.length
    const path = template.names.has('part') ? template.fill(values, part) : this.#set
    const file = await FileWriter.open(join(this.#folder, `${part}`), compress)
    this.#open = { file, encoder: format.begin(file, join(template.root, path)), rows: 0 }
    this.#finished.push({ temporary: file.path, path })
    return this.#open
  }

  async #end({ encoder, file }: OpenFile): Promise<void> {
    await encoder.end()
    await file.close()
    this.#open = undefined
  }

  #isPart(name: string): boolean {
    const [before, after] = basename(this.#set).split('{part}')
    if (before === undefined || after === undefined) return false
    if (!name.startsWith(before) || !name.endsWith(after)) return false
    return /^\d+$/.test(name.slice(before.length, name.length - after.length))
  }
}

function isOfRow(error: unknown): boolean {
  return error instanceof PikoError && error.code === 'SINK_ROW_INVALID'
}

/**
 * Checks that the path of the files fits the job.
 *
 * @throws PikoError `JOB_INVALID` if windows of the job would replace each other's files, or a placeholder has no value
 */
function assertPlace({ sink, template: { names, root }, scope: { window, jobId } }: AttemptOptions): void {
  const needsWindow = (['window', 'window.start', 'window.end', 'date'] as const).filter((name) => names.has(name))
  const invalid = (problem: string): PikoError =>
    new PikoError('JOB_INVALID', `sink ${sink}: ${problem}`, { details: { sink, jobId, root } })
  if (!window) {
    if (needsWindow.length === 0) return
    const shown = needsWindow.map((name) => `{${name}}`).join(', ')
    throw invalid(`path has ${shown}, but the run of job "${jobId}" has no window; give the job windows, or use {run}`)
  }
  const isOwn = names.has('run') || needsWindow.some((name) => name !== 'date')
  const isDay = names.has('date') && window.end.getTime() - window.start.getTime() >= MIN_DAY_MS
  if (isOwn || isDay) return
  throw invalid(
    names.has('date')
      ? `path has {date}, but the windows of job "${jobId}" are shorter than a day and would replace each other's file; use {window}`
      : `path has no {window}, so each window of job "${jobId}" would replace the files of the others; add {window}`,
  )
}
