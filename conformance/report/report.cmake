# Reports of conformance runs, as part of lockstep_conformance.
target_sources(lockstep_conformance PRIVATE
  report/aggregate.cpp
  report/folder.cpp
  report/html.cpp
  report/markdown.cpp
  report/merge.cpp
  report/report_json.cpp
  report/report_read.cpp
  report/ulp_table.cpp)
target_link_libraries(lockstep_conformance PUBLIC nlohmann_json::nlohmann_json)
lockstep_embed(lockstep_conformance report/page.html report_page)
lockstep_embed(lockstep_conformance report/page.css report_style)
lockstep_embed(lockstep_conformance report/page.js report_script)
lockstep_embed(lockstep_conformance report/matrix.js report_matrix_script)

lockstep_test(report_test report/report_test.cpp report/sample_report.cpp LIBRARIES lockstep_conformance lockstep_internal)
