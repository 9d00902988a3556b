import type { WriteStream } from 'node:tty'
import picocolors from 'picocolors'

export type Style = ReturnType<typeof picocolors.createColors>

/** Uses colours only on a terminal; picocolors alone would also colour output that CI captures. */
export function styleFor(stream: Pick<WriteStream, 'isTTY'>): Style {
  const { NO_COLOR = '', TERM } = process.env
  return picocolors.createColors(stream.isTTY === true && NO_COLOR === '' && TERM !== 'dumb')
}
