export { initAuthority, type IssuedCertificate, issueInto, listIssued } from './authority-folder.ts';
export { checkExposure, isLoopback } from './exposure.ts';
export { authorise, type Identity, identityOf, identityUri, isIdentityName } from './identity.ts';
export { loadTlsFiles, pemBlocks, TLS_FILE_NAMES, type TlsFiles } from './tls-files.ts';
