import { Presets, SingleBar } from 'cli-progress'
import { type Events } from '../telemetry/events.ts'

/**
 * Shows a run's `ctx.progress` as a bar on standard error, if that is a terminal. Without a total only the count moves.
 *
 * @returns the function that takes it away again
 */
export function showProgress(events: Events, runId: number): () => void {
  if (!process.stderr.isTTY) return () => {}
  let bar: SingleBar | undefined
  const unsubscribe = events.on('run.progress', ({ runId: of, done, total, message = '' }) => {
    if (of !== runId) return
    if (!bar) {
      bar = newBar(total !== undefined)
      bar.start(total ?? 0, done, { message })
    }
    if (total !== undefined) bar.setTotal(total)
    bar.update(done, { message })
  })
  return () => {
    unsubscribe()
    bar?.stop()
  }
}

function newBar(hasTotal: boolean): SingleBar {
  const format = hasTotal ? '{bar} {percentage}% {value}/{total} {message}' : '{value} done {message}'
  return new SingleBar(
    { format, stream: process.stderr, clearOnComplete: true, gracefulExit: false },
    Presets.shades_classic,
  )
}
