export { http, HttpClient } from './http/http.ts'
export { HttpError, type HttpErrorKind, type HttpHeaders } from './http/http-error.ts'
export type {
  BatchOptions,
  HeadersToSend,
  Http,
  HttpOptions,
  HttpRequest,
  HttpRequestOptions,
  HttpResponse,
  HttpResult,
  HttpRetry,
  HttpStream,
  QueryValue,
  RetriedKind,
} from './http/http-types.ts'
export type { TlsOptions } from '../http-client/agents.ts'
export type { HttpMethod } from '../http-client/sent.ts'
export { mysql, type MysqlResource } from './mysql/mysql.ts'
export type { Isolation, MysqlOptions, MysqlTls } from './mysql/mysql-options.ts'
export type { MysqlRun } from './mysql/mysql-source.ts'
export type { WithKysely } from './mysql/kysely-source.ts'
export type { WithConnection } from './mysql/pool-source.ts'
export { limiter } from './limiter.ts'
export { csv, type CsvOptions } from './sinks/csv.ts'
export type { FileSinkClass, FileSinkOptions } from './sinks/file-sink.ts'
export type { Compression } from './sinks/file-writer.ts'
export { httpSink, type HttpSinkOptions } from './sinks/http-sink.ts'
export { jsonLines } from './sinks/json-lines.ts'
export { parquet, type ParquetOptions, type ParquetType } from './sinks/parquet.ts'
export { redis, type RedisClientSettings, type RedisCommands, type RedisOptions } from './redis/redis.ts'
export { threads, type ThreadsOptions } from './threads.ts'
