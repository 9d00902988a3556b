/** Stops this process, as a signal would, when the process that started it has ended. */
export function endWithParent(): void {
  if (!process.channel) return
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // A listener of this event would keep the process alive.
  process.channel.unref()
}
