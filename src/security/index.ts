export { initAuthority, type IssuedCertificate, issueInto, issueTokenInto, listIssued } from './authority-folder.ts';
export { checkExposure, isLoopback } from './exposure.ts';
export { authorise, type Identity, identityOf, identityUri, isIdentityName, isScopeId, type Scope } from './identity.ts';
export { type ReportSecurityEvent, SECURITY_EVENTS, type SecurityEvent } from './security-events.ts';
export { loadTlsFiles, pemBlocks, tlsFilePaths, type TlsFiles } from './tls-files.ts';
export { checkToken, loadTokenFile, type Login, TOKEN_FILE_NAME, type TokenFiles } from './token-files.ts';
export type { TokenClaims } from './tokens.ts';
