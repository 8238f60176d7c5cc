//! The network description: layers in execution order, the shape of every value, and the
//! parameters under their torchvision names.

use crate::error::{Error, Result};
use crate::ops::conv2d::Conv2dProblem;
use crate::ops::pool::MaxPoolProblem;

/// A value of the graph: index into [`Network::shapes`]. Value 0 is the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// One layer, with its sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// k output channels, square kernel.
    Conv2d {
        c: usize,
        k: usize,
        kernel: usize,
        stride: usize,
        pad: usize,
        bias: bool,
    },
    BatchNorm {
        c: usize,
    },
    Relu,
    /// Sum of two values of one shape.
    Add,
    MaxPool {
        window: usize,
        stride: usize,
        pad: usize,
    },
    /// H W C to C.
    GlobalPool,
    /// C to classes, with bias.
    Linear {
        c: usize,
        k: usize,
    },
}

/// A layer in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub layer: Layer,
    pub inputs: Vec<ValueId>,
    pub output: ValueId,
    /// torchvision's module path (`layer1.0.conv1`); empty for layers without parameters.
    pub name: String,
}

/// What a parameter is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    ConvWeight,
    ConvBias,
    Gamma,
    Beta,
    LinearWeight,
    LinearBias,
}

/// One trainable tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// torchvision's name (`layer1.0.conv1.weight`).
    pub name: String,
    /// PyTorch's shape: K C R S for convolutions, K C for linear layers.
    pub shape: Vec<usize>,
    pub kind: ParameterKind,
    /// Index of the node it belongs to.
    pub node: usize,
}

impl Parameter {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True without elements (never, in a checked network).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A network on images of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// For people and files: `resnet20`.
    pub name: String,
    pub classes: usize,
    pub nodes: Vec<Node>,
    /// Height, width, channels of every value for one image.
    pub shapes: Vec<[usize; 3]>,
}

impl Network {
    /// Height, width, channels of the input.
    pub fn input(&self) -> [usize; 3] {
        self.shapes[0]
    }

    /// Elements of the largest value for one image.
    pub fn largest_value(&self) -> usize {
        self.shapes.iter().map(|[h, w, c]| h * w * c).max().unwrap_or(0)
    }

    /// The value that holds the logits.
    pub fn logits(&self) -> ValueId {
        self.nodes.last().map_or(ValueId(0), |n| n.output)
    }

    /// The value that the last layer reads: the penultimate features.
    pub fn features(&self) -> ValueId {
        self.nodes.last().map_or(ValueId(0), |n| n.inputs[0])
    }

    /// Number of penultimate features of one image.
    pub fn feature_count(&self) -> usize {
        self.shapes[self.features().0].iter().product()
    }

    /// The convolution a `Conv2d` or `Linear` node computes on `n` images. A linear layer is a
    /// 1x1 convolution of 1x1 images.
    pub fn conv_problem(&self, node: &Node, n: usize) -> Option<Conv2dProblem> {
        let [h, w, _] = self.shapes[node.inputs[0].0];
        let conv = |c, k, kernel, stride: usize, pad: usize| Conv2dProblem {
            n,
            h,
            w,
            c,
            k,
            r: kernel,
            s: kernel,
            stride: [stride; 2],
            pad: [pad; 2],
        };
        match node.layer {
            Layer::Conv2d { c, k, kernel, stride, pad, .. } => {
                Some(conv(c, k, kernel, stride, pad))
            }
            Layer::Linear { c, k } => Some(conv(c, k, 1, 1, 0)),
            _ => None,
        }
    }

    /// All parameters, in node order; weight before bias, gamma before beta.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = Vec::new();
        for (node, n) in self.nodes.iter().enumerate() {
            let mut push = |suffix: &str, shape: Vec<usize>, kind| {
                list.push(Parameter { name: format!("{}.{suffix}", n.name), shape, kind, node });
            };
            match n.layer {
                Layer::Conv2d { c, k, kernel, bias, .. } => {
                    push("weight", vec![k, c, kernel, kernel], ParameterKind::ConvWeight);
                    if bias {
                        push("bias", vec![k], ParameterKind::ConvBias);
                    }
                }
                Layer::BatchNorm { c } => {
                    push("weight", vec![c], ParameterKind::Gamma);
                    push("bias", vec![c], ParameterKind::Beta);
                }
                Layer::Linear { c, k } => {
                    push("weight", vec![k, c], ParameterKind::LinearWeight);
                    push("bias", vec![k], ParameterKind::LinearBias);
                }
                Layer::Relu | Layer::Add | Layer::MaxPool { .. } | Layer::GlobalPool => {}
            }
        }
        list
    }

    /// Node index and channels of every batch-norm layer, in node order.
    pub fn batch_norms(&self) -> Vec<(usize, usize)> {
        let channels = |n: &Node| match n.layer {
            Layer::BatchNorm { c } => Some(c),
            _ => None,
        };
        self.nodes.iter().enumerate().filter_map(|(i, n)| channels(n).map(|c| (i, c))).collect()
    }

    /// Trainable values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(Parameter::len).sum()
    }

    /// Multiply-accumulates of one image's forward pass through convolutions and linear layers.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().filter_map(|n| self.conv_problem(n, 1)).map(|p| p.macs()).sum()
    }
}

/// Appends layers, computing shapes as it goes.
pub struct Builder {
    nodes: Vec<Node>,
    shapes: Vec<[usize; 3]>,
}

impl Builder {
    /// A graph whose input is `h` x `w` x 3.
    pub fn new(h: usize, w: usize) -> Self {
        Builder { nodes: Vec::new(), shapes: vec![[h, w, 3]] }
    }

    /// The input value.
    pub fn input(&self) -> ValueId {
        ValueId(0)
    }

    /// Channels of a value.
    pub fn channels(&self, value: ValueId) -> usize {
        self.shapes[value.0][2]
    }

    fn push(&mut self, layer: Layer, inputs: &[ValueId], name: &str, shape: [usize; 3]) -> ValueId {
        let output = ValueId(self.shapes.len());
        self.shapes.push(shape);
        self.nodes.push(Node { layer, inputs: inputs.to_vec(), output, name: name.to_owned() });
        output
    }

    /// A square convolution without bias, padded by half its kernel.
    pub fn conv(
        &mut self,
        x: ValueId,
        name: &str,
        k: usize,
        kernel: usize,
        stride: usize,
    ) -> Result<ValueId> {
        self.any_conv(x, name, [k, kernel, stride], false)
    }

    /// Appends a convolution with a bias a channel.
    pub fn conv_with_bias(
        &mut self,
        x: ValueId,
        name: &str,
        k: usize,
        kernel: usize,
        stride: usize,
    ) -> Result<ValueId> {
        self.any_conv(x, name, [k, kernel, stride], true)
    }

    fn any_conv(
        &mut self,
        x: ValueId,
        name: &str,
        [k, kernel, stride]: [usize; 3],
        bias: bool,
    ) -> Result<ValueId> {
        let [h, w, c] = self.shapes[x.0];
        let pad = kernel / 2;
        let layer = Layer::Conv2d { c, k, kernel, stride, pad, bias };
        let problem = Conv2dProblem {
            n: 1,
            h,
            w,
            c,
            k,
            r: kernel,
            s: kernel,
            stride: [stride; 2],
            pad: [pad; 2],
        };
        problem.check().map_err(|e| too_small(name, h, w, &e))?;
        Ok(self.push(layer, &[x], name, [problem.p(), problem.q(), k]))
    }

    /// Batch normalisation.
    pub fn batch_norm(&mut self, x: ValueId, name: &str) -> ValueId {
        let shape = self.shapes[x.0];
        self.push(Layer::BatchNorm { c: shape[2] }, &[x], name, shape)
    }

    /// ReLU.
    pub fn relu(&mut self, x: ValueId) -> ValueId {
        self.push(Layer::Relu, &[x], "", self.shapes[x.0])
    }

    /// Sum of two values.
    pub fn add(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        let (a, b) = (self.shapes[x.0], self.shapes[y.0]);
        if a != b {
            return Err(Error::Internal(format!("residual shapes {a:?} and {b:?} differ")));
        }
        Ok(self.push(Layer::Add, &[x, y], "", a))
    }

    /// Max-pooling.
    pub fn max_pool(
        &mut self,
        x: ValueId,
        window: usize,
        stride: usize,
        pad: usize,
    ) -> Result<ValueId> {
        let [h, w, c] = self.shapes[x.0];
        let problem = MaxPoolProblem { n: 1, h, w, c, window, stride, pad };
        problem.check().map_err(|e| too_small("max-pooling", h, w, &e))?;
        let shape = [problem.p(), problem.q(), c];
        Ok(self.push(Layer::MaxPool { window, stride, pad }, &[x], "", shape))
    }

    /// Global average pooling.
    pub fn global_pool(&mut self, x: ValueId) -> ValueId {
        let c = self.channels(x);
        self.push(Layer::GlobalPool, &[x], "", [1, 1, c])
    }

    /// The classifier.
    pub fn linear(&mut self, x: ValueId, name: &str, k: usize) -> ValueId {
        let c = self.channels(x);
        self.push(Layer::Linear { c, k }, &[x], name, [1, 1, k])
    }

    /// The finished network; its last layer gives the logits.
    pub fn finish(self, name: String, classes: usize) -> Network {
        Network { name, classes, nodes: self.nodes, shapes: self.shapes }
    }
}

fn too_small(name: &str, h: usize, w: usize, source: &Error) -> Error {
    Error::invalid(
        format!("layer {name}"),
        format!("an input of {h} x {w}"),
        format!("a larger image (`image_size`), or `stem` cifar; {source}"),
    )
}
