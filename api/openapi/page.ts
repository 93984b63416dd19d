/**
 * The page that shows the document: Swagger UI, the one reader that needs neither inline scripts nor inline styles nor
 * another host. Its files come from `@fastify/swagger-ui`; what is ours stands here.
 */
export const PAGE_CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Beacon API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<div id="docs"><noscript>This page needs JavaScript. The document itself is <a href="/openapi.json">/openapi.json</a>.</noscript></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

export const START_SCRIPT = `'use strict';
const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  filter: true,
  validatorUrl: null,
});
`;

export const PAGE_CSS = `
body { margin: 0; }
.swagger-ui .wrapper, .swagger-ui .information-container, .swagger-ui .scheme-container .schemes { max-width: 1100px; }
.swagger-ui .info { margin: 32px 0 0; }
.swagger-ui .info .title { font-size: 30px; }
.swagger-ui .info .renderedMarkdown p { max-width: 75ch; margin: 0 0 12px; line-height: 1.5; }
.swagger-ui .scheme-container { padding: 12px 0; margin: 0 0 12px; background: none; box-shadow: none; }
.swagger-ui .filter .operation-filter-input { width: 100%; margin: 0 0 8px; }
.swagger-ui .opblock { margin-bottom: 8px; box-shadow: none; }
.swagger-ui .opblock-tag { font-size: 20px; padding: 10px; }
.swagger-ui .opblock-tag small { line-height: 1.4; }

/* One server, no links, no choice of types, and reads are open to all: nothing of it is worth a place. */
.swagger-ui .servers-title, .swagger-ui .servers,
.swagger-ui .response > td.response-col_links, .swagger-ui td.response-col_links,
.swagger-ui .response-control-media-type__accept-message,
.swagger-ui .opblock-get .authorization__btn { display: none; }
.swagger-ui .response-control-media-type--accept-controller select { border-color: inherit; }
.swagger-ui .scheme-container .auth-wrapper { margin-left: auto; }

.swagger-ui .markdown code, .swagger-ui .renderedMarkdown code { color: inherit; font-weight: 600; padding: 1px 4px; }
.swagger-ui .response-col_description .renderedMarkdown ul { margin: 4px 0 12px; padding-left: 18px; font-size: 14px; line-height: 1.6; }
.swagger-ui .response-col_description .renderedMarkdown p { margin: 0 0 8px; font-size: 14px; }
.swagger-ui .response-col_description .renderedMarkdown li { font-size: 14px; }
.swagger-ui .parameters-col_description .renderedMarkdown p { margin: 0 0 6px; font-size: 14px; }
.swagger-ui .opblock-description-wrapper { padding: 12px 20px; }
.swagger-ui .response { border-top: 1px solid rgba(128, 128, 128, .3); }
.swagger-ui .response > td { padding-top: 12px; padding-bottom: 12px; }
.swagger-ui .headers-wrapper { margin-top: 8px; font-size: 12px; }
.swagger-ui .headers-wrapper td { padding: 2px 12px 2px 0; font-weight: 400; }
.swagger-ui .highlight-code > .microlight, .swagger-ui .microlight { max-height: 60vh; overflow: auto; font-weight: 400; }

@media (max-width: 720px) {
  .swagger-ui .info .title { font-size: 26px; }
  .swagger-ui .opblock-tag { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-method { min-width: 56px; padding: 6px 4px; font-size: 12px; }
  .swagger-ui .opblock .opblock-summary-path { max-width: none; font-size: 13px; word-break: break-word; }
  .swagger-ui .opblock .opblock-summary-description { font-size: 12px; }
  .swagger-ui .responses-inner, .swagger-ui .opblock-description-wrapper,
  .swagger-ui .opblock .opblock-section-header, .swagger-ui .table-container { padding: 12px; }
  .swagger-ui table.responses-table > thead, .swagger-ui table.parameters > thead { display: none; }
  .swagger-ui table.responses-table, .swagger-ui table.responses-table > tbody,
  .swagger-ui table.responses-table > tbody > tr, .swagger-ui table.responses-table > tbody > tr > td,
  .swagger-ui table.parameters, .swagger-ui table.parameters > tbody,
  .swagger-ui table.parameters > tbody > tr, .swagger-ui table.parameters > tbody > tr > td {
    display: block; width: auto; max-width: none; min-width: 0; padding-left: 0; padding-right: 0;
  }
  .swagger-ui table.responses-table > tbody > tr > td.response-col_links { display: none; }
  .swagger-ui .response > td.response-col_status { padding-bottom: 0; font-weight: 700; }
  .swagger-ui .response > td.response-col_description { padding-top: 4px; }
  .swagger-ui .response-controls { flex-wrap: wrap; gap: 8px; }
  .swagger-ui .response-controls > div, .swagger-ui .examples-select { min-width: 0; max-width: 100%; padding: 0; }
  .swagger-ui select { max-width: 100%; min-width: 0; }
  .swagger-ui .parameters-col_description input { max-width: 100%; }
}
`;
