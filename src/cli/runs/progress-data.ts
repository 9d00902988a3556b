import { type Progress, progressText } from '../../run/progress.ts'
import { visibleLine } from '../../visible.ts'

/** Returns the progress in the form that `--json` prints. */
export function progressData(progress: Progress | undefined): object | null {
  if (!progress) return null
  const { total, message, ratePerSecond, etaMs, ...rest } = progress
  return {
    ...rest,
    total: total ?? null,
    message: message ?? null,
    ratePerSecond: ratePerSecond ?? null,
    etaMs: etaMs ?? null,
  }
}

/** Formats progress as text: numbers, rate and estimated end, followed by the handler's message. */
export function progressLine(progress: Progress): string {
  const words = progress.message === undefined ? '' : `: ${visibleLine(progress.message)}`
  return `${progressText(progress)}${words}`
}
