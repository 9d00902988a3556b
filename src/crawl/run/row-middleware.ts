import { isList } from '../../options.ts'
import type { SinkWriter } from '../../sink/sink.ts'
import type { AnyCrawlContext, RowMiddleware } from '../define/crawl-spec.ts'

type Writers = Readonly<Record<string, SinkWriter>>

/** Wraps writers so that each row passes through the crawl's `rows` middleware. The rows that remain are written in order, in one call. */
export function rowWriters(
  writers: Writers,
  rows: readonly RowMiddleware<AnyCrawlContext>[],
  ctx: AnyCrawlContext,
): Writers {
  const wrapped = Object.entries(writers).map(([sink, writer]) => {
    const write = async (model: never, given: unknown): Promise<void> => {
      const left: unknown[] = []
      const chain = chainOf(rows, { sink, model }, ctx, (row) => left.push(row))
      for (const row of isList(given) ? given : [given]) await chain(row)
      if (left.length > 0) await writer.write(model, left as never)
    }
    return [sink, { write }] as const
  })
  return Object.fromEntries(wrapped) as Writers
}

function chainOf(
  rows: readonly RowMiddleware<AnyCrawlContext>[],
  target: Parameters<RowMiddleware>[2],
  ctx: AnyCrawlContext,
  take: (row: unknown) => void,
): (row: unknown) => Promise<void> {
  const last = (row: unknown): Promise<void> => {
    take(row)
    return Promise.resolve()
  }
  return rows.reduceRight<(row: unknown) => Promise<void>>(
    (next, middleware) => async (row) => middleware(row, next, target, ctx),
    last,
  )
}
