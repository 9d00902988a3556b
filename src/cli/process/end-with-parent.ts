/** Stops this process, as a signal would, when its parent process has ended. */
export function endWithParent(): void {
  if (!process.channel) return
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // Without this, a listener of the event `disconnect` would keep the process alive.
  process.channel.unref()
}

const LOOK_MS = 1_000

/**
 * Stops this process, as a signal would, when npm has ended. npm starts `npx piko start`, and scripts without `exec`, through a shell. A
 * signal to npm ends only that shell, and this process would continue without a parent.
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
