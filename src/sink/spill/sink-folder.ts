import { createHash } from 'node:crypto'

/** The name of a sink's folder. The name of the sink itself may contain any characters. */
export function sinkFolder(sink: string): string {
  const digest = createHash('sha256').update(sink).digest('hex').slice(0, 8)
  return `${sink.replaceAll(/[^\w-]/g, '_').slice(0, 60)}-${digest}`
}
