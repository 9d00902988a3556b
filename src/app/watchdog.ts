import { shownFrames, type StackFrame, Watchdog } from '../service/watchdog/watchdog.ts'
import type { Events } from '../events.ts'

/** Emits an event for each block of the event loop. */
export function watchdog(thresholdMs: number, events: Events): Watchdog {
  return new Watchdog({
    name: 'watchdog',
    threshold: `${thresholdMs}ms`,
    onBlocked: ({ blockedMs, culprit, stack }) =>
      events.emit('loop.blocked', {
        blockedMs,
        culprit: culprit && frameText(culprit),
        stack: shownFrames(stack).map(frameText),
      }),
  })
}

function frameText({ functionName, file, line, column }: StackFrame): string {
  return `${functionName} (${file}:${line}:${column})`
}
