"""Faults made by hand in autodiff/, nn/ and the code that they depend on; see faults.py."""

FAULTS = {
    "autodiff/gradient.cpp": [
        ("upstream[o] = sources_[n] ? gradients_[n] : std::exchange(gradients_[n], {});", "upstream[o] = std::exchange(gradients_[n], {});", "a source on the way to another loses its gradient"),
        ("slot = slot ? sum_of(slot, gradient, record.where) : gradient;", "slot = gradient;", "of two paths only the last counts"),
        ("total = total ? sum_of(total, gradients_[n], CallSite::current()) : gradients_[n];", "total = gradients_[n];", "of a variable read twice only one read's gradient counts"),
        ("if (!tape_.options_.persistent) tape_.drop_saved(record);", "", "values stay until the reverse pass is over"),
        ("    if (record.scope) scope.emplace(record.scope);", "", "errors of the reverse pass do not name the layer"),
    ],
    "autodiff/optimizer.cpp": [
        ("p.weights_2 = next_weight_sum(p.weights_2, adam->beta_2);", "p.weights_2 = next_weight_sum(p.weights_2, adam->beta_1);", "the second average is corrected as the first"),
        ("std::visit([rate](auto& o) { o.learning_rate = rate; }, impl_->options);", "if (rate > 0) std::visit([rate](auto& o) { o.learning_rate = rate; }, impl_->options);", "a learning rate of 0 is ignored"),
        ("own_memory(*v, where);", "", "a value that somebody holds changes"),
        ("impl_->prepared_from = impl_->known();", "impl_->prepared_from = 0;", "taking back what was prepared takes all"),
        ("order.push_back(variable.id());", "order.insert(order.begin(), variable.id());", "a step that is taken back takes another variable's state"),
        ("impl.step_state->set_progress({snapshot.steps, snapshot.weights_1, snapshot.weights_2});", "impl.step_state->set_progress({snapshot.steps, 0, 0});", "a restored Adam corrects its moments as in the first step"),
        ("if (!used.contains(name)) fail_to_restore(", "if (false) fail_to_restore(", "state of variables that are not given is dropped"),
        ("i < impl_->known(); ++i", "i < impl_->order.size(); ++i", "a snapshot has slots that were only prepared"),
        ("zeros(variable.shape(), compute_dtype(variable.dtype()))", "zeros(variable.shape(), variable.dtype())", "slots of f16 variables are f16"),
        ("      if (v.shape().size() > 0) impl_->slots_of(v);", "      impl_->slots_of(v);", "variables without elements have state once it is prepared"),
    ],
    "autodiff/variable.cpp": [
        ("if (same_device && impl_->owns_memory()) {", "if (same_device) {", "assigning changes a tensor that was read"),
        ("tensor->dense && own_block ? tensor : make_dense_copy(*tensor, CallSite::current());", "tensor->dense ? tensor : make_dense_copy(*tensor, CallSite::current());", "a slice keeps its whole block"),
        ("TensorRef::share((same_device ? value : value.to(device(), where)).impl())", "TensorRef::share(value.impl())",
         "assigning moves a variable to the value's device"),
    ],
    "nn/check_data.cpp": [
        ("check_not_empty(data, what, op, where);", "", "an empty set gives no values"),
    ],
    "nn/checkpoint.cpp": [
        ("set_random_position(position.random);", "", "after loading, Dropout draws other numbers"),
        ("state_->epochs = position.epochs;", "", "after loading, the orders of examples start anew"),
        ("  state_->batch_size = position.batch_size;", "", "after loading, evaluation takes larger batches than training"),
    ],
    "nn/data/dataset.cpp": [
        ("const RandomKey key{step.shuffle.seed, step.shuffle.stream + static_cast<std::uint64_t>(number)};", "const RandomKey key{step.shuffle.seed, step.shuffle.stream};", "every epoch has the same order"),
        ("for (std::int64_t& i : next) i = order[static_cast<std::size_t>(i)];", "", "a second shuffle forgets the first, and what was taken of it"),
        ("if (!step.take) break;", "if (!step.take) continue;", "labels of examples that a shuffle brings are not checked"),
        ("NoGradient pause;", "", "a tape records how batches are prepared"),
        ("current->features = state_->dataset.prepare_(current->features);", "{ MemoryOwnerScope other(MemoryOwner::other); current->features = state_->dataset.prepare_(current->features); }", "what is prepared does not count as data"),
        ('      NameScope scope("data");', "", "a batch that finds no memory is not named"),
        ("    state_->position = begin;  // so that", "    // so that", "a batch is skipped whose successor cannot be read"),
    ],
    "nn/data/idx.cpp": [
        ("if (status == Z_STREAM_END && !only_zeros(stream.next_in, stream.avail_in + left)) status = inflateReset(&stream);", "", "a gzip file is cut after its first member"),
        ("  if (rank > max_rank)", "  if (rank >= max_rank)", "files of rank 8 are refused"),
    ],
    "nn/fit.cpp": [
        ("if (step == 1) ++state_.epochs;", "", "fit() in a loop repeats one order"),
        ("if (step == 1) ++state_.epochs;", "++state_.epochs;", "the order hangs on the number of steps"),
        ("guard.keep();", "", "running statistics stand still"),
        ("pass.seek(step - 1);", "", "a step that is repeated takes the next batch"),
        ("state_.batch_size = options_.batch_size;", "", "evaluation takes larger batches than training"),
        ("if (step > 1 && stopping()) break;", "", "training stops at the end of an epoch only"),
        ("if (!complete) return false;", "", "a validation that was stopped gives values"),
        ("(data.size() - 1) / options.batch_size + 1", "data.size() / options.batch_size + 1", "a number of steps gives too few epochs"),
        ("(options.steps - 1) / per_epoch + 1", "options.steps / per_epoch + 1", "a number of steps announces an epoch too many"),
        ("  parts.hint = advice;", "", "the batch that fits is in the text, not in the hint"),
        ('  check_enum(options.verbose, Verbose::line, "way to show progress", "fit", where);', "", "fit takes ways to show progress that there are not"),
        ("    loss_.reset();", "    ", "a step's loss takes memory in the next step"),
    ],
    "nn/initializer.cpp": [
        ("const double size = fan == Fan::in ? fan_in : fan == Fan::out ? fan_out : (fan_in + fan_out) / 2;", "const double size = fan == Fan::in ? fan_in : fan == Fan::out ? fan_out : fan_in;", "the mean of both fans is the first"),
    ],
    "nn/layer.cpp": [
        ("if (known && known->parent == outer) return known;", "if (known) return known;", "a layer keeps the scope of its first call"),
        ("if (only_built) fail_not_built(s.name, where);", "", "a shared call builds layers"),
        ("s.variable_prefix = s.path();", "s.variable_prefix = s.name + \"/\";", "layers within layers share names"),
        ("      s.variables.clear();", "      ", "a build that failed leaves variables"),
    ],
    "nn/layers.cpp": [
        ("return c.training && share > 0 ? dropout(x, share) : x;", "return share > 0 ? dropout(x, share) : x;", "predictions drop out too"),
    ],
    "nn/losses.cpp": [
        ("return log_sum + select(wrong == 0, wrong.constant(0), wrong * size);  // not 0 times infinity", "return log_sum + wrong * size;", "an infinite logit on the right side gives NaN"),
        ("const Expr log_sum = log(sum) + (u - (sum - 1.0)) / sum;", "const Expr log_sum = log(sum);", "small losses are 0"),
        ("const DType common = is_floating(wanted.dtype()) ? compute_dtype(wanted.dtype()) : DType::i64;", "const DType common = wanted.dtype();", "classes are compared by their low byte"),
        ("return from_logits ? predictions : log(clip(predictions, 1e-7, 1.0));", "return from_logits ? predictions : log(predictions);",
         "a probability of 0 gives an infinite loss"),
        ("invoke1(binary_slope_op(), {x, t, {arrives, g.where()}})", "invoke1(binary_slope_op(), {x, t, upstream})", "second derivatives of a weighted loss by the weight are wrong"),
    ],
    "nn/model.cpp": [
        ("state_->epochs = 0;", "", "compile() does not start anew"),
    ],
    "nn/safetensors.cpp": [
        ("if (!open_.back().insert(name).second) repeated_ = name;", "", "of a name that comes twice the last wins"),
        ("if (shape.size() > max_rank)", "if (shape.size() >= max_rank)", "tensors of rank 8 cannot be loaded"),
        ("header < 2", "header <= 2", "a file without tensors cannot be loaded"),
    ],
    "nn/out_of_memory.cpp": [
        ("std::int64_t evaluation_batch(std::int64_t batch_size) { return std::min<std::int64_t>(256, batch_size); }", "std::int64_t evaluation_batch(std::int64_t) { return 256; }", "evaluation does not fit where training does"),
        ("batch >= 16 ? batch - batch % 8 : batch", "batch", "the advised batch is any number"),
    ],
    "nn/train.cpp": [
        ("  before_->restore(&VariableImpl::replace);", "", "a failed step moves the random numbers on"),
        ("if (layer->built()) layer->forget_variables();", "", "a failed step leaves layers behind"),
        ("TensorSpec{compute_dtype(v.dtype()), v.shape()}", "TensorSpec{v.dtype(), v.shape()}", "slots of f16 weights count half"),
    ],
    "nn/weights.cpp": [
        ("make_nans_canonical(v.dtype(), bytes);", "", "the hash tells NaN from NaN"),
        ("archive.load(v.name(), v.device())", "archive.load(v.name(), default_device())", "loading moves weights to the default device"),
    ],
    "runtime/atomic_file.cpp": [
        ("take_over_permissions();", "", "a private file becomes public"),
    ],
    "runtime/memory/pool.cpp": [
        ("if (Block* part = take_best_fit(bytes, home)) return part;", "", "what came back while the pool waited is not looked at"),
        ("if (!block) return take_best_fit(bytes, free_blocks_[large ? 0 : 1], home);", "if (!block) return nullptr;", "memory runs out beside a hole that is large enough"),
    ],
    "autodiff/explain.cpp": [
        (" && read.time < target.id", "", "a number that was read later is said to cut the path"),
    ],
    "autodiff/arena.h": [
        ("least > chunk_bytes ? least : chunk_bytes", "chunk_bytes", "long records are written beyond their memory"),
    ],
    "nn/data/sources.cpp": [
        ("    if (labels) copy_rows(", "    copy_rows(", "labels are written that nobody asked for"),
        ("    if (features) copy_rows(", "    copy_rows(", "features are written that nobody asked for"),
    ],
    "nn/progress.cpp": [
        ('"%.0fm", seconds / 60', '"%.0fm", seconds', "minutes are shown as seconds"),
        ('"%.1fh", seconds / 3600', '"%.1fh", seconds / 60', "hours are shown as minutes"),
        ('"%.1fk img/s", per_second / 1e3', '"%.1fk img/s", per_second', "high rates are a thousand times as high"),
        ("Clock::now() - first_step_ended_", "Clock::now() - started_", "the first step counts for the length of a step"),
        ("static_cast<double>(done_ - 1)", "static_cast<double>(done_)", "steps are shown shorter than they are"),
    ],
}
