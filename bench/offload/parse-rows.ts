import { progress } from 'piko/offload'

export interface OrderRow {
  id: number
  shop: string
  at: string
  product: string
  amount: number
  note: string
}

export type Format = 'ndjson' | 'csv'

const PARSE: Readonly<Record<Format, (line: string) => OrderRow>> = {
  ndjson: (line) => JSON.parse(line) as OrderRow,
  csv: (line) => {
    const [id, shop = '', at = '', product = '', amount, note = ''] = line.split(',')
    return { id: Number(id), shop, at, product, amount: Number(amount), note }
  },
}

/** Splits bytes into lines, and parses them one after another. */
export function splitter(format: Format): {
  readonly parse: (line: string) => OrderRow
  readonly lines: (bytes: Uint8Array) => string[]
} {
  const decoder = new TextDecoder()
  let rest = ''
  return {
    parse: PARSE[format],
    lines: (bytes) => {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      return lines
    },
  }
}

/** The rows of a file, one by one, as a user would write it. */
export async function* rows(
  source: AsyncIterable<Uint8Array>,
  format: Format,
  size: number | undefined,
): AsyncGenerator<OrderRow, void, undefined> {
  const { parse, lines } = splitter(format)
  let read = 0
  for await (const bytes of source) {
    for (const line of lines(bytes)) yield parse(line)
    progress((read += bytes.length), size)
  }
}

/** The same rows as lists: each holds the rows of one read. */
export async function* batches(
  source: AsyncIterable<Uint8Array>,
  format: Format,
  size: number | undefined,
): AsyncGenerator<OrderRow[], void, undefined> {
  const { parse, lines } = splitter(format)
  let read = 0
  for await (const bytes of source) {
    yield lines(bytes).map(parse)
    progress((read += bytes.length), size)
  }
}
