import type { MultiBar, SingleBar } from 'cli-progress'
import { visibleLine } from '../../visible.ts'
import type { EventMap } from '../../events.ts'
import { loadPackage } from '../../load-package.ts'

type Progress = Pick<EventMap['run.progress'], 'done' | 'total' | 'message'>

/** A progress bar on a terminal. It appears with the first progress, and log lines are written above it. */
export class ProgressBar {
  readonly #terminal: NodeJS.WritableStream
  #bars: MultiBar | undefined
  #bar: SingleBar | undefined

  /** @param terminal default: standard error, so the bar is not part of the command's output */
  constructor(terminal: NodeJS.WritableStream = process.stderr) {
    this.#terminal = terminal
  }

  /** Shows progress. Without a total it shows only the count. */
  show({ done, total, message: said = '' }: Progress): void {
    const message = visibleLine(said)
    this.#bars ??= newBars(this.#terminal, total !== undefined)
    this.#bar ??= this.#bars.create(total ?? 0, done, { message })
    if (total !== undefined) this.#bar.setTotal(total)
    this.#bar.update(done, { message })
  }

  /** Writes a log line above the bar. The logger uses this object as its output stream. */
  write(line: string): void {
    if (!this.#bars) {
      this.#terminal.write(line)
      return
    }
    this.#bars.log(line)
    this.#bars.update()
  }

  hide(): void {
    this.#bars?.stop()
    this.#bars = undefined
    this.#bar = undefined
  }
}

function newBars(stream: NodeJS.WritableStream, hasTotal: boolean): MultiBar {
  const format = hasTotal ? '{bar} {percentage}% {value}/{total} {message}' : '{value} done {message}'
  const { MultiBar, Presets } = loadPackage<typeof import('cli-progress')>('cli-progress')
  return new MultiBar({ format, stream, clearOnComplete: true, gracefulExit: false }, Presets.shades_classic)
}
