/** A node of an HTML or XML document. An element also has a name and attributes. */
export interface HtmlNode {
  /** The type of the node, such as `tag`, `text` or `comment`. */
  readonly type: string
}

/** An element of a document. */
export interface HtmlElement extends HtmlNode {
  /** The tag name; in HTML, in lower case. */
  readonly name: string
  readonly attribs: Readonly<Record<string, string>>
}

/** Values that {@link HtmlNodes.map} returned. */
export interface HtmlValues<T> extends Iterable<T> {
  readonly length: number
  /** Returns all values as an array. */
  get(): T[]
  toArray(): T[]
}

/**
 * Nodes of a document: a cheerio selection, with the methods that crawls use most. To use the others, cast it: `import type { CheerioAPI }
 * from 'cheerio'`, then `page.html() as CheerioAPI`.
 */
export interface HtmlNodes extends Iterable<HtmlNode> {
  readonly length: number
  readonly [index: number]: HtmlNode
  /** The combined text of all nodes. */
  text(): string
  /** The inner HTML of the first element. */
  html(): string | null
  attr(name: string): string | undefined
  attr(): Record<string, string> | undefined
  data(name: string): unknown
  val(): string | string[] | undefined
  hasClass(name: string): boolean
  is(selector: string): boolean
  index(): number
  find(selector: string): HtmlNodes
  children(selector?: string): HtmlNodes
  contents(): HtmlNodes
  parent(selector?: string): HtmlNodes
  parents(selector?: string): HtmlNodes
  closest(selector: string): HtmlNodes
  next(selector?: string): HtmlNodes
  nextAll(selector?: string): HtmlNodes
  prev(selector?: string): HtmlNodes
  prevAll(selector?: string): HtmlNodes
  siblings(selector?: string): HtmlNodes
  first(): HtmlNodes
  last(): HtmlNodes
  eq(index: number): HtmlNodes
  slice(start?: number, end?: number): HtmlNodes
  filter(selector: string): HtmlNodes
  not(selector: string): HtmlNodes
  has(selector: string): HtmlNodes
  add(selector: string): HtmlNodes
  clone(): HtmlNodes
  remove(selector?: string): HtmlNodes
  /** Calls the function for each node, until it returns false. */
  each(fn: (index: number, node: HtmlNode) => unknown): HtmlNodes
  /** Collects the results of a function that is called for each node. Leaves out null and undefined, and flattens arrays. */
  map<T>(fn: (index: number, node: HtmlNode) => T[] | T | null | undefined): HtmlValues<T>
  get(): HtmlNode[]
  get(index: number): HtmlNode | undefined
  toArray(): HtmlNode[]
}

/** A cheerio document: a function that selects nodes. */
export interface HtmlDocument {
  (selector: string | HtmlNode | readonly HtmlNode[] | HtmlNodes, context?: string | HtmlNode | HtmlNodes): HtmlNodes
  root(): HtmlNodes
  html(): string
  text(): string
  xml(): string
}
