export { http, HttpClient } from './http/http.ts'
export { HttpError, type HttpErrorKind, type HttpHeaders } from './http/http-error.ts'
export type {
  BatchOptions,
  HeadersToSend,
  Http,
  HttpMethod,
  HttpOptions,
  HttpRequest,
  HttpRequestOptions,
  HttpResponse,
  HttpResult,
  HttpRetry,
  HttpStream,
  QueryValue,
  RetriedKind,
  TlsOptions,
} from './http/http-types.ts'
