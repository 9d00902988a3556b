/** Stops this process, as a signal would, when the process that started it has ended. */
export function endWithParent(): void {
  if (!process.channel) return
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // A listener of this event would keep the process alive.
  process.channel.unref()
}

const LOOK_MS = 1_000

/**
 * Stops this process, as a signal would, when npm has ended. `npx piko start`, and a script without `exec`, run in a shell that npm starts.
 * A signal to npm ends that shell but not this process, which would otherwise continue without a parent.
 */
export function endWithNpm(): void {
  if (process.env['npm_execpath'] === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGTERM')
  }, LOOK_MS)
  timer.unref()
}
