import type { WriteStream } from 'node:tty'
import picocolors from 'picocolors'

export type Style = ReturnType<typeof picocolors.createColors>

/** Returns the colours to use. Only a terminal gets colours; picocolors alone would also use them in the output of CI systems. */
export function styleFor(stream: Pick<WriteStream, 'isTTY'>): Style {
  const { NO_COLOR = '', TERM } = process.env
  return picocolors.createColors(stream.isTTY === true && NO_COLOR === '' && TERM !== 'dumb')
}
