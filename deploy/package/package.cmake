# `cmake --install` and the Debian package (`cpack -G DEB`): the program, its unit, settings and
# documents. The man page and completions are installed if the build has created them.
include(GNUInstallDirs)
set(NMANAGER_DOC ${CMAKE_INSTALL_DATADIR}/doc/nmanager)
install(FILES README.md CHANGELOG.md SECURITY.md DESTINATION ${NMANAGER_DOC})
install(FILES LICENSE DESTINATION ${NMANAGER_DOC} RENAME copyright)
install(DIRECTORY docs/ DESTINATION ${NMANAGER_DOC}/docs FILES_MATCHING PATTERN *.md PATTERN *.schema.json)
install(FILES ${PROJECT_BINARY_DIR}/nmanager.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8 OPTIONAL)
install(FILES ${PROJECT_BINARY_DIR}/completions/nmanager.bash OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME nmanager)
install(FILES ${PROJECT_BINARY_DIR}/completions/_nmanager OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${PROJECT_BINARY_DIR}/completions/nmanager.fish OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES deploy/package/nmanager.service DESTINATION lib/systemd/system)
install(FILES deploy/package/nmanager.default DESTINATION /etc/default RENAME nmanager)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nmanager)
set(CPACK_PACKAGE_VENDOR "The nmanager authors")
set(CPACK_PACKAGE_CONTACT "The nmanager authors <maintainers@nmanager.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "keeps netfilter rules of a Kubernetes node in place alongside kube-proxy")
set(CPACK_PACKAGE_DESCRIPTION "Drops packets that conntrack calls INVALID, which may reset connections of pods, and makes external
 addresses of Services reachable from nodes without a local endpoint in kube-proxy's IPVS mode.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/deploy/package/conffiles ${PROJECT_SOURCE_DIR}/deploy/package/postinst
  ${PROJECT_SOURCE_DIR}/deploy/package/prerm)
include(CPack)
