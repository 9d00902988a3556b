import { createHash } from 'node:crypto'

/** A folder's name for a sink whose name may hold any characters. */
export function sinkFolder(sink: string): string {
  const digest = createHash('sha256').update(sink).digest('hex').slice(0, 8)
  return `${sink.replaceAll(/[^\w-]/g, '_').slice(0, 60)}-${digest}`
}
