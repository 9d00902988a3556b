import { propertyOf } from '../../errors-read.ts'
import { defineSink, type DefinedSink } from '../../sink/define-sink.ts'
import { RefusedRowsError } from '../../sink/delivery/refused-rows.ts'
import type { RowModel, SinkBatch, SinkClass, SinkRules } from '../../sink/sink.ts'
import { HttpClient } from '../http/http.ts'
import { HttpError } from '../http/http-error.ts'
import type { HttpMethod } from '../../http-client/sent.ts'
import type { HeadersToSend, HttpOptions } from '../http/http-types.ts'
import { jsonText } from './json-text.ts'

export interface HttpSinkOptions<M extends RowModel> extends Omit<SinkRules, 'key'> {
  /** The zod schema or class of the rows. */
  readonly model: M
  /** The URL to which each batch is sent. */
  readonly url: string | URL
  /** The name for messages and metrics. Default `http`. */
  readonly name?: string
  /** The method of the requests. Default `POST`. */
  readonly method?: Extract<HttpMethod, 'POST' | 'PUT' | 'PATCH'>
  /** `json`: one array. `ndjson`: one row per line. Default `json`. */
  readonly format?: 'json' | 'ndjson'
  /** Headers to send with each batch. They are never logged. A function is called before each try, for example to get a token. */
  readonly headers?: HeadersToSend | ((signal: AbortSignal) => HeadersToSend | Promise<HeadersToSend>)
  /** Further options of the client, such as `timeout` and `tls`. The option `retry` repeats a request with the same key. */
  readonly client?: Omit<HttpOptions, 'headers' | 'origin'>
}

/** The statuses with which an endpoint may refuse single rows. */
const ROW_STATUSES: readonly unknown[] = [400, 409, 422]

/**
 * A sink class that sends each batch to an HTTP endpoint, with an `Idempotency-Key` that is the same for each delivery of the batch. The
 * guarantee is `idempotent`, which needs an endpoint that stores the keys; otherwise set `guarantee: 'atLeastOnce'`.
 *
 * To refuse single rows, an endpoint responds with status 400, 409 or 422 and the body `{ "errors": [{ "index": 3, "message": "…" }] }`.
 * With `deadLetters` these rows are stored as dead letters, and the others are sent again.
 *
 * @throws PikoError `SINK_FAILED` naming every wrong option
 * @example
 * const Events = httpSink({ model: Event, url: 'https://events.example.com/batch', headers: { authorization: token } })
 */
export function httpSink<M extends RowModel>(options: HttpSinkOptions<M>): SinkClass<DefinedSink<[M]>> {
  const { model, url, name = 'http', method = 'POST', format = 'json', headers, client, ...rules } = options
  let open: HttpClient | undefined
  const connect = (): HttpClient =>
    (open ??= new HttpClient({
      ...{ name, ...client },
      ...(headers !== undefined && { headers }),
      retry: { limit: 3, ...client?.retry, nonIdempotent: true },
    }))
  const send = async (rows: readonly object[], batch: SinkBatch): Promise<void> => {
    try {
      await connect().request({
        ...{ url, method, body: bodyOf(rows, format, name), signal: batch.signal, as: 'text' },
        headers: {
          'content-type': format === 'json' ? 'application/json' : 'application/x-ndjson',
          'idempotency-key': encodeURI(batch.key),
        },
      })
    } catch (error) {
      const refused = error instanceof HttpError ? refusedRows(error) : []
      throw refused.length > 0 ? new RefusedRowsError(refused, { cause: error }) : error
    }
  }
  return defineSink<[M]>({
    ...{ name, guarantee: 'idempotent', ...rules },
    on: [[model, (rows, batch) => send(rows, batch)]],
    close: async () => {
      const closing = open
      open = undefined
      await closing?.close()
    },
  })
}

function bodyOf(rows: readonly object[], format: 'json' | 'ndjson', name: string): string {
  const texts = rows.map((row, index) => jsonText(row, () => `row ${index} for sink ${name}`))
  return format === 'json' ? `[${texts.join(',')}]` : texts.map((text) => `${text}\n`).join('')
}

function refusedRows({ status, body }: HttpError): { readonly index: number; readonly reason: string }[] {
  if (!ROW_STATUSES.includes(status) || body === undefined) return []
  const errors = propertyOf(parsed(body), 'errors')
  if (!Array.isArray(errors)) return []
  return (errors as unknown[]).flatMap((one) => {
    const [index, message] = [propertyOf(one, 'index'), propertyOf(one, 'message')]
    return Number.isSafeInteger(index)
      ? [{ index: Number(index), reason: typeof message === 'string' ? message : `status ${status}` }]
      : []
  })
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined // The body is not JSON, or is truncated, because only its beginning is kept.
  }
}
