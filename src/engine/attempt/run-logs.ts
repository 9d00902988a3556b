import { counted } from '../../counted.ts'
import { describe, headline, isObject, safely } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import { redactText } from '../../run/redact.ts'
import type { Claim } from '../../run/run.ts'
import { RUN_LOG_LEVELS, type RunLogLevel, type RunLogLine } from '../../run/run-log.ts'
import type { NewRunLogLine, RunLogFilter, RunLogStore } from '../../store/history/run-log-store.ts'
import type { Settings } from '../../settings/settings.ts'
import { redactFields } from '../../telemetry/redact.ts'
import type { RunWatch } from '../fleet/run-watch.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { Logger } from '../../logger.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'

export interface RunLogsParts extends LoopServiceParts {
  readonly store: RunLogStore
  readonly history: Pick<Settings['history'], 'runLogs' | 'runLogLines'>
  readonly watch: RunWatch
}

const FLUSH_MS = 1_000
/** How soon the log lines of a watched run are stored. */
const WATCHED_MS = 25
/** The maximum number of lines to keep while the database does not answer. Later lines are dropped. */
const MAX_WAITING_LINES = 20_000
const MAX_WAITING_CHARACTERS = 50_000_000
const LONGEST_MESSAGE = 4_000
const LONGEST_SEARCHED = 100_000
const LONGEST_FIELDS = 8_000
/** The maximum number of runs with lost lines to name in a message. */
const MAX_NAMED = 20

/** Stores the log lines of handlers. Once per second, it writes the new lines of all runs of this node together. */
export class RunLogs extends LoopService {
  readonly #parts: RunLogsParts
  #waiting: NewRunLogLine[] = []
  #waitingCharacters = 0
  /** The attempts with dropped lines, by fence. */
  readonly #leftOut = new Map<number, { readonly claim: Claim; lines: number }>()
  #flushing: Promise<void> | undefined
  #early: NodeJS.Timeout | undefined

  constructor(parts: RunLogsParts) {
    super('run-logs', parts)
    this.#parts = parts
  }

  /** Returns a logger that writes to `logger` and also keeps the lines. */
  capture(claim: Claim, logger: Logger): Logger {
    const { runLogs: level, runLogLines } = this.#parts.history
    if (level === undefined) return logger
    const least = RUN_LOG_LEVELS.indexOf(level)
    let lines = 0
    const levels = RUN_LOG_LEVELS.map((name, index) => {
      const method = (fields: object | string, message?: string): void => {
        write(logger, name, fields, message)
        if (index < least || lines > runLogLines) return
        lines += 1
        const isLast = lines > runLogLines
        if (isLast) this.#keep(claim, 'warn', `an attempt keeps at most ${runLogLines} lines; later lines are left out`)
        else if (isObject(fields)) this.#keep(claim, name, textOf(message ?? ''), fields)
        else this.#keep(claim, name, textOf(fields))
      }
      return [name, method] as const
    })
    return Object.fromEntries(levels) as unknown as Logger
  }

  /** Stores immediately what this run has logged on this node. */
  async stored(runId: number): Promise<void> {
    if (this.#waiting.some((line) => line.runId === runId)) await this.#flush()
  }

  /** Returns the lines of a run, including those that this node has not stored yet. */
  async list(runId: number, filter: RunLogFilter): Promise<RunLogLine[]> {
    await this.stored(runId)
    return this.#parts.store.list(runId, filter)
  }

  protected override async step(): Promise<number> {
    await this.#flush()
    return FLUSH_MS
  }

  protected override async onStop(why: StopReason): Promise<void> {
    clearTimeout(this.#early)
    this.#early = undefined
    await super.onStop()
    if (why === 'stop') await this.#flush().catch((thrown: unknown) => this.#reportLost(thrown))
  }

  /** Reports lines that are lost because the node stops and no longer retries. */
  #reportLost(thrown: unknown): void {
    const left = [...this.#leftOut.values()]
    const lines = left.reduce((sum, one) => sum + one.lines, this.#waiting.length)
    const runIds = new Set([...this.#waiting.map(({ runId }) => runId), ...left.map(({ claim }) => claim.runId)])
    this.#waiting = []
    this.#waitingCharacters = 0
    this.#leftOut.clear()
    const lost = lostLines(lines, [...runIds], thrown)
    this.#parts.loops.failed({ loop: this.name, thrown: lost, retryInMs: 0, failures: 1 })
  }

  #keep(claim: Claim, level: RunLogLevel, message: string, fields?: object): void {
    if (this.#isFull) this.#leaveOut(claim)
    else this.#push(claim, level, message, fields)
  }

  get #isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING_LINES || this.#waitingCharacters >= MAX_WAITING_CHARACTERS
  }

  #leaveOut(claim: Claim): void {
    const known = this.#leftOut.get(claim.fence)
    if (known) known.lines += 1
    else this.#leftOut.set(claim.fence, { claim, lines: 1 })
  }

  #tellLeftOut(): void {
    for (const { claim, lines } of this.#leftOut.values())
      this.#push(claim, 'warn', `left out ${counted(lines, 'line')} that the database did not store in time`)
    this.#leftOut.clear()
  }

  #push({ runId, fence, attempt }: Claim, level: RunLogLevel, message: string, fields?: object): void {
    const line: NewRunLogLine = {
      runId,
      fence,
      attempt,
      at: new Date(this.#parts.clock.now()),
      level,
      // Redaction comes before truncation, because the pattern for secrets does not match a truncated connection string.
      message: redactText(message.slice(0, LONGEST_SEARCHED)).slice(0, LONGEST_MESSAGE),
      fields: fieldsText(fields),
    }
    this.#waitingCharacters += charactersOf(line)
    this.#waiting.push(line)
    if (this.#early === undefined && this.#parts.watch.has(runId))
      this.#early = setTimeout(() => this.#wakeEarly(), WATCHED_MS)
  }

  #wakeEarly(): void {
    this.#early = undefined
    this.wake()
  }

  #reportRefused(line: NewRunLogLine, refusal: unknown): void {
    this.#parts.loops.failed({ loop: this.name, thrown: refusedLine(line, refusal), retryInMs: 0, failures: 1 })
  }

  #flush(): Promise<void> {
    return (this.#flushing ??= this.#write().finally(() => (this.#flushing = undefined)))
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const count = await this.#parts.store.add(this.#waiting, (line, refusal) => this.#reportRefused(line, refusal))
      const stored = this.#waiting.slice(0, count)
      for (const line of stored) this.#waitingCharacters -= charactersOf(line)
      this.#waiting = this.#waiting.slice(count)
      if (this.#parts.watch.size > 0) this.#parts.watch.tell(stored.map(({ runId }) => runId))
      if (this.#waiting.length === 0) this.#tellLeftOut()
    }
  }
}

function refusedLine({ runId, message }: NewRunLogLine, refusal: unknown): PikoError {
  return new PikoError(
    'RUN_UNSTORABLE',
    `a log line of run ${runId} can't be stored and is left out: ${headline(refusal)}; it begins with ${describe(message.slice(0, 80))}`,
    { cause: toError(refusal), details: { runId } },
  )
}

function lostLines(lines: number, runIds: readonly number[], thrown: unknown): PikoError {
  const some = runIds.slice(0, MAX_NAMED).join(', ')
  const more = runIds.length > MAX_NAMED ? ` and ${runIds.length - MAX_NAMED} more` : ''
  return new PikoError(
    'RUN_LOGS_LOST',
    `${counted(lines, 'log line')} of ${runIds.length === 1 ? 'run' : 'runs'} ${some}${more} ${lines === 1 ? 'is' : 'are'} lost: the node stopped before the database stored them: ${headline(thrown)}`,
    { cause: toError(thrown), details: { lines, runIds: runIds.slice(0, MAX_NAMED) } },
  )
}

function charactersOf({ message, fields }: NewRunLogLine): number {
  return message.length + (fields?.length ?? 0)
}

/** Writes a line to the logger. If the logger throws, the handler must not fail. */
function write(logger: Logger, name: RunLogLevel, fields: object | string, message: string | undefined): void {
  try {
    if (typeof fields === 'string') logger[name](fields)
    else logger[name](fields, message)
  } catch {
    safely(() => logger[name]({ fields: describe(fields) }, textOf(message ?? '')), undefined)
  }
}

/** Returns the message as a string. At run time, it may be any value. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : describe(value)
}

function fieldsText(fields: object | undefined): string | null {
  if (!fields) return null
  try {
    const text = redactText(JSON.stringify(redactFields(fields)))
    if (text.length <= LONGEST_FIELDS) return text === '{}' ? null : text
    return JSON.stringify({ '…': `${text.length} characters of fields are left out` })
  } catch {
    // The fields contain a BigInt, or a `toJSON` that throws. The line is kept without its fields, because its message is more important.
    return JSON.stringify({ '…': 'the fields could not be written as JSON' })
  }
}
